"""The arithmetic of robosuite's operational space control, compiled as two functions.

Everything keeps robosuite's order and its own compiled functions. Products of a matrix and a vector
that robosuite leaves to NumPy are not here but in `stepping`, because Numba's BLAS is another one
and may add in another order.
"""

import numba
import numpy as np
from numpy.typing import NDArray
from robosuite.utils.control_utils import nullspace_torques, opspace_matrices, orientation_error

Array = NDArray[np.float64]


@numba.njit(cache=True)
def desired_wrench(
    goal_pos: Array,
    goal_turn: Array,
    hand_pos: Array,
    hand_turn: Array,
    speed: Array,
    gains: Array,
    wrench: Array,
) -> None:
    """Set the force and the torque that pull the hand to its goal.

    The rows of `speed`, `gains` (kp and kd) and `wrench` are moves and turns.
    """
    turn = orientation_error(goal_turn, hand_turn)
    for axis in range(3):
        move = goal_pos[axis] - hand_pos[axis]
        wrench[0, axis] = move * gains[0, 0, axis] + -speed[0, axis] * gains[1, 0, axis]
        wrench[1, axis] = turn[axis] * gains[0, 1, axis] + -speed[1, axis] * gains[1, 1, axis]


@numba.njit(cache=True)
def task_space(
    moves: Array,
    turns: Array,
    inertia: Array,
    first: int,
    rest: Array,
    joint_pos: Array,
    joint_vel: Array,
    transposed_jacobian: Array,
    null_torques: Array,
) -> tuple[Array, Array]:
    """Return the hand's inertia for moves and turns; set the Jacobian and the null space's torques.

    Args:
        moves: The hand's Jacobian for moves, over all degrees of freedom.
        turns: The same for turns.
        inertia: The mass matrix, over all degrees of freedom.
        first: The arm's first degree of freedom; its others follow.
        rest: The joint positions that the null space keeps.
        joint_pos: The arm's joint positions.
        joint_vel: The arm's joint velocities.
        transposed_jacobian: Set to the arm's part of both Jacobians.
        null_torques: Set to the torques that pull the arm to `rest`.
    """
    count = len(rest)
    # robosuite's arrays have contiguous columns, which BLAS multiplies in another order than rows.
    mass = np.empty((count, count)).T
    jac_pos, jac_turn, jac = np.empty((count, 3)).T, np.empty((count, 3)).T, transposed_jacobian.T
    for column in range(count):
        for row in range(count):
            mass[row, column] = inertia[first + row, first + column]
        for row in range(3):
            jac_pos[row, column] = jac[row, column] = moves[row, first + column]
            jac_turn[row, column] = jac[3 + row, column] = turns[row, first + column]
    _, lambda_pos, lambda_turn, nullspace = opspace_matrices(mass, jac, jac_pos, jac_turn)
    null_torques[:] = nullspace_torques(mass, nullspace, rest, joint_pos, joint_vel)
    return lambda_pos, lambda_turn


@numba.njit(cache=True)
def _clip(value: float, low: float, high: float) -> float:
    """Clip like np.clip, which keeps a NaN."""
    if value < low:
        return low
    return high if value > high else value


@numba.njit(cache=True)
def set_controls(
    torques: Array,
    gravity: Array,
    null_torques: Array,
    limits: Array,
    arm: Array,
    grip: Array,
    grip_change: Array,
    grip_scale: Array,
    fingers: Array,
) -> None:
    """Set the controls of the arm and the fingers.

    Args:
        torques: The arm's torques for the hand's movement.
        gravity: Those against gravity.
        null_torques: Those in the null space.
        limits: The lowest and the highest torques.
        arm: Set to the arm's controls.
        grip: The commanded finger positions, from -1 to 1; changed.
        grip_change: What is added to them.
        grip_scale: Rows are the middle and half the width of the fingers' controls.
        fingers: Set to the fingers' controls.
    """
    for joint in range(len(arm)):
        torque = (torques[joint] + gravity[joint]) + null_torques[joint]
        arm[joint] = _clip(torque, limits[0, joint], limits[1, joint])
    for finger in range(len(fingers)):
        grip[finger] = _clip(grip[finger] + grip_change[finger], -1.0, 1.0)
        fingers[finger] = grip_scale[0, finger] + grip_scale[1, finger] * grip[finger]
