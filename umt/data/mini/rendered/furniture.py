"""The furniture of a rendered room, as data: parts, sizes and surfaces, with ADE20K's class ids."""

from __future__ import annotations

from dataclasses import dataclass

# Ids of objectInfo150.txt, from 1; 0 is unlabelled.
OTHER_FURNITURE, WALL, FLOOR, CEILING, BED, WINDOW, CABINET, DOOR, TABLE = 0, 1, 4, 6, 8, 9, 11, 15, 16
PAINTING, SOFA, RUG, BOX = 23, 24, 29, 42

Triple = tuple[float, float, float]


@dataclass(frozen=True)
class FurniturePart:
    """A box of a piece of furniture, from `low` to `high` in shares of the piece's size."""

    low: Triple
    high: Triple


@dataclass(frozen=True)
class Furniture:
    """A piece that stands on the floor; size is (width, height, depth) in metres, its back at depth 1."""

    label: int
    size: Triple
    parts: tuple[FurniturePart, ...]


@dataclass(frozen=True)
class WallPanel:
    """A flat piece on a wall: (width, height) and the height of its lower edge above the floor, in metres."""

    label: int
    size: tuple[float, float]
    sill: float


@dataclass(frozen=True)
class Surface:
    """The photographs that a class may be covered with, and the metres that a photograph spans."""

    photos: tuple[str, ...]
    metres: float


SOLID = (FurniturePart((0, 0, 0), (1, 1, 1)),)
LEGS = tuple(FurniturePart((x, 0, z), (x + 0.06, 0.92, z + 0.1)) for x in (0.0, 0.94) for z in (0.0, 0.9))
ARMS = tuple(FurniturePart((x, 0, 0), (x + 0.12, 0.7, 1)) for x in (0.0, 0.88))

FURNITURE = (
    Furniture(BED, (1.5, 1.0, 2.0), (FurniturePart((0, 0, 0), (1, 0.5, 0.95)), FurniturePart((0, 0, 0.95), (1, 1, 1)))),
    Furniture(TABLE, (1.3, 0.75, 0.8), (FurniturePart((0, 0.92, 0), (1, 1, 1)), *LEGS)),
    Furniture(
        SOFA, (1.8, 0.85, 0.9), (FurniturePart((0, 0, 0), (1, 0.5, 1)), FurniturePart((0, 0, 0.75), (1, 1, 1)), *ARMS)
    ),
    Furniture(CABINET, (1.0, 1.7, 0.5), SOLID),
    Furniture(BOX, (0.6, 0.45, 0.5), SOLID),
    Furniture(OTHER_FURNITURE, (0.35, 0.3, 0.35), SOLID),
)
PANELS = (WallPanel(WINDOW, (1.4, 1.1), 1.0), WallPanel(DOOR, (0.9, 2.0), 0.0), WallPanel(PAINTING, (1.0, 0.8), 1.2))

SURFACES = {
    OTHER_FURNITURE: Surface(("cell", "coins"), 0.5),
    WALL: Surface(("brick", "moon"), 2.0),
    FLOOR: Surface(("gravel", "grass"), 1.5),
    CEILING: Surface(("page",), 3.0),
    BED: Surface(("immunohistochemistry", "flower"), 1.0),
    WINDOW: Surface(("rocket", "hubble_deep_field"), 1.4),
    CABINET: Surface(("camera", "clock"), 1.0),
    DOOR: Surface(("text",), 0.9),
    TABLE: Surface(("coffee",), 1.0),
    PAINTING: Surface(("astronaut", "china", "chelsea"), 1.0),
    SOFA: Surface(("retina",), 1.2),
    RUG: Surface(("china", "immunohistochemistry"), 1.5),
    BOX: Surface(("coins", "clock"), 0.5),
}
