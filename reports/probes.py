"""The table of frozen features: linear probes and nearest neighbours, which the paper does not have."""

from reports.declaration import Declaration
from reports.table1 import FAMILIES

PROBES = Declaration(name="probes", title="Frozen features", families=FAMILIES)
