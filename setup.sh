#!/usr/bin/env bash
# Makes the virtual environment and installs what an evaluation needs. Run by `make setup`.
set -euo pipefail
python=$1 venv=$2

# LIBERO's images are drawn by Mesa where there is no GPU; its states need no GL library.
packages=(libegl1 libegl-mesa0 libgl1 libgl1-mesa-dri libgles2 libglib2.0-0 libosmesa6)
# ManiSkill needs a Vulkan device always: a GPU's own driver, or Mesa's for the CPU from 24.3 on.
packages+=(libvulkan1)
vulkan=none
mesa_candidate() {
  apt-cache policy mesa-vulkan-drivers | awk '/Candidate: [0-9]/ {print $2}'
}
if command -v apt-cache >/dev/null && ! ls /{etc,usr/share}/vulkan/icd.d/nvidia*.json &>/dev/null; then
  [ -n "$(mesa_candidate)" ] || [ "$(id -u)" != 0 ] || apt-get update -qq
  mesa=$(mesa_candidate)
  if dpkg --compare-versions "${mesa:-0}" ge 24.3; then
    packages+=(mesa-vulkan-drivers)
  elif [ "$(. /etc/os-release && echo "${VERSION_CODENAME:-}")" = bookworm ]; then
    vulkan=backports
    packages+=(libllvm15 libdrm2 libxcb-dri3-0 libxcb-present0 libxcb-randr0 libxcb-shm0
      libxcb-sync1 libxcb-xfixes0 libx11-xcb1 libxshmfence1 libwayland-client0)
  fi
fi

install_packages() {
  local missing=() package
  for package in "${packages[@]}"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
      missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  if [ "$(id -u)" = 0 ]; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
      "${missing[@]}" >/dev/null
  else
    echo "Libraries for drawing images and for ManiSkill are missing. To add them:"
    echo "  sudo apt-get install -y ${missing[*]}"
  fi
}

# Unpacks Mesa's newer Vulkan driver for the CPU beside the system's Mesa, which LIBERO draws with:
# installing it would replace that one. benchmarks/vulkan.py looks for it here.
unpack_vulkan() {
  local target="$PWD/$venv/share/assay/vulkan" work uri options
  [ ! -e "$target/lvp_icd.json" ] || return 0
  uri=$(apt-get indextargets --format '$(REPO_URI)' 'Codename: bookworm' | sort -u | head -n 1)
  work=$(mktemp -d)
  chmod 755 "$work"
  mkdir -p "$work/lists/partial" "$work/cache"
  echo "deb $uri bookworm-backports main" >"$work/sources.list"
  options=(-qq -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=-
    -o Dir::State::lists="$work/lists" -o Dir::Cache="$work/cache" -o APT::Sandbox::User=)
  apt-get "${options[@]}" update
  (cd "$work" && apt-get "${options[@]}" download mesa-vulkan-drivers)
  dpkg -x "$work"/mesa-vulkan-drivers_*.deb "$work/unpacked"
  mkdir -p "$target"
  find "$work/unpacked" -name libvulkan_lvp.so -exec cp {} "$target/" \;
  printf '{"file_format_version": "1.0.1", "ICD": {"library_path": "%s", "api_version": "1.4.0"}}\n' \
    "$target/libvulkan_lvp.so" >"$target/lvp_icd.json"
  rm -rf "$work"
}

if command -v dpkg-query >/dev/null; then
  install_packages
fi
[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
if [ $vulkan = backports ]; then
  unpack_vulkan || echo "ManiSkill will not run: Mesa's newer Vulkan driver cannot be had from" \
    "Debian's backports (see docs/maniskill.md)"
fi
# torch first: what depends on it would otherwise choose a build of its own.
"$venv/bin/python" -m pip install -q --disable-pip-version-check torch -c constraints.txt
"$venv/bin/python" -m pip install -q --disable-pip-version-check \
  -e ".[all,demos,libero,maniskill,metaworld,policies,vlabench,dev]" -c constraints.txt
# Meta-World pins another mujoco than LIBERO.
"$venv/bin/python" -m pip install -q --disable-pip-version-check --no-deps metaworld -c constraints.txt
"$venv/bin/python" run_eval.py doctor
