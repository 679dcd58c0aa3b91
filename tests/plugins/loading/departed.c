/* What missing_dependency.c is linked to. */
int departed(void);
__attribute__((visibility("default"))) int departed(void) { return 1; }
