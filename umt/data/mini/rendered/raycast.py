"""A ray caster for axis-aligned boxes: the box that every pixel sees, and its distance, exactly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Array = np.ndarray


@dataclass(frozen=True)
class Camera:
    """A pinhole camera in a world with x to the right, y up and z ahead, in metres.

    `yaw` turns it to the right and `pitch` upwards, in radians; `focal` is in pixels, the principal point the centre.
    """

    position: tuple[float, float, float]
    yaw: float
    pitch: float
    width: int
    height: int
    focal: float

    def rays(self) -> Array:
        """Return the world direction of every pixel's centre, [H, W, 3]; one unit along it is one metre of z-depth."""
        u = (np.arange(self.width) + 0.5 - self.width / 2) / self.focal
        v = (self.height / 2 - np.arange(self.height) - 0.5) / self.focal
        camera_rays = np.stack([*np.meshgrid(u, v), np.ones((self.height, self.width))], axis=-1)
        return camera_rays @ self.axes()

    def project(self, points: Array) -> Array:
        """Return column, row (pixels from the image's corner) and z-depth [N, 3] of points [N, 3] of the world."""
        right, up, forward = self.axes() @ (points - self.position).T
        return np.stack(
            [self.width / 2 + self.focal * right / forward, self.height / 2 - self.focal * up / forward, forward],
            axis=1,
        )

    def axes(self) -> Array:
        """Return the rows: the camera's right, up and forward in world coordinates."""
        sin_y, cos_y, sin_p, cos_p = np.sin(self.yaw), np.cos(self.yaw), np.sin(self.pitch), np.cos(self.pitch)
        return np.array(
            [[cos_y, 0, -sin_y], [-sin_p * sin_y, cos_p, -sin_p * cos_y], [cos_p * sin_y, sin_p, cos_p * cos_y]]
        )


@dataclass(frozen=True)
class Hits:
    """The first box that each of P rays meets.

    depth: in units of the ray, infinite for a miss: for a camera's rays z-depth in metres along the optical axis, not
    the distance to the camera. box: index of the box, -1 for none. axis: 0, 1 or 2, the axis that the face met is
    perpendicular to.
    """

    depth: Array
    box: Array
    axis: Array


def cast(origin: Array, rays: Array, low: Array, high: Array) -> Hits:
    """Intersect rays [P, 3] from `origin` with the boxes [low, high], both [N, 3]; origin is in no box."""
    with np.errstate(divide="ignore"):
        inverse = np.ascontiguousarray(1 / rays.T)
    hits = Hits(np.full(len(rays), np.inf), np.full(len(rays), -1), np.zeros(len(rays), dtype=int))
    for index in range(len(low)):
        _keep_nearest(hits, index, *_enter(inverse, low[index] - origin, high[index] - origin))
    return hits


def _enter(inverse: Array, low: Array, high: Array) -> tuple[Array, Array]:
    """Return the depth at which rays enter a box (infinite for a miss), and the axis of the face that they enter by.

    The slab method (Kay and Kajiya 1986): a ray is inside the box while it is between all three pairs of planes.
    """
    with np.errstate(invalid="ignore"):  # 0 * inf, of a ray that runs in the plane of a face: it misses
        first, second = inverse * low[:, None], inverse * high[:, None]
    near, far = np.fmin(first, second), np.fmax(first, second)
    entry, leave = np.fmax.reduce(near), np.fmin.reduce(far)
    axis = np.where(near[0] == entry, 0, np.where(near[1] == entry, 1, 2))
    return np.where((entry > leave) | (entry <= 0), np.inf, entry), axis


def _keep_nearest(hits: Hits, index: int, entry: Array, axis: Array) -> None:
    nearer = entry < hits.depth
    hits.depth[nearer] = entry[nearer]
    hits.box[nearer] = index
    hits.axis[nearer] = axis[nearer]
