/* A library in order that has nothing to do with us. */
int answer(void) { return 42; }
