"""UMT distillation: a student, several frozen teachers, and the spaces in which they meet. A plug-in of the harness."""
