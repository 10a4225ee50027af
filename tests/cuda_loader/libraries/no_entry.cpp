// A library that is no backend at all; a library that another one needs.
int pgram_no_entry() {
  return 0;
}
