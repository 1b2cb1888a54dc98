#!/usr/bin/env bash
# Makes the virtual environment and installs what an evaluation needs. Run by `make setup`.
set -euo pipefail
python=$1 venv=$2

# Images are drawn by Mesa where there is no GPU. States alone need no GL library.
packages=(libegl1 libegl-mesa0 libgl1 libgl1-mesa-dri libgles2 libglib2.0-0 libosmesa6)
if command -v dpkg-query >/dev/null; then
  missing=()
  for package in "${packages[@]}"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
      missing+=("$package")
  done
  if [ ${#missing[@]} -gt 0 ]; then
    if [ "$(id -u)" = 0 ]; then
      apt-get update -qq
      DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        "${missing[@]}" >/dev/null
    else
      echo "GL libraries are missing, so images cannot be drawn. To add them:"
      echo "  sudo apt-get install -y ${missing[*]}"
    fi
  fi
fi

[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
"$venv/bin/python" -m pip install -q --disable-pip-version-check \
  -e ".[libero,demos,dev]" -c constraints.txt
"$venv/bin/python" run_eval.py doctor
