"""Tables that the paper does not have: frozen features, classes by their names, sizes and speeds."""

from reports.building.declaration import Declaration
from reports.tables.table1 import FAMILIES

PROBES = Declaration(name="probes", title="Frozen features", families=FAMILIES)
ZEROSHOT = Declaration(name="zeroshot", title="Zero-shot classification", families=FAMILIES)
COSTS = Declaration(name="costs", title="Size and speed", families=FAMILIES)
