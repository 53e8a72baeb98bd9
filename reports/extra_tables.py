"""Tables that the paper does not have: linear probes and nearest neighbours; sizes and speeds."""

from reports.declaration import Declaration
from reports.table1 import FAMILIES

PROBES = Declaration(name="probes", title="Frozen features", families=FAMILIES)
COSTS = Declaration(name="costs", title="Size and speed", families=FAMILIES)
