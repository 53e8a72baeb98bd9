"""The representational spaces of a student: shapes, interaction modules, plain projectors."""
