"""The two conversions, with scipy."""

import numpy as np
from scipy.spatial.transform import Rotation


def quaternion_to_euler(quat, is_degree=False):
    return Rotation.from_quat(np.roll(quat, -1)).as_euler("xyz", degrees=is_degree)


def euler_to_quaternion(roll, pitch, yaw):
    return tuple(np.roll(Rotation.from_euler("xyz", [roll, pitch, yaw]).as_quat(), 1))
