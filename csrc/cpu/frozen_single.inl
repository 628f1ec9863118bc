// The input of a frozen convolution whose elements are floats: as in forward_single.inl, whatever its values are.

Elements elements_of(const Geometry& g) { return single(g); }

bool needs_widening(const Strided&, const Geometry&, const Pool&) { return false; }
int64_t widened_bytes(const Geometry&, int) { return 0; }
void widened_convolution(const FrozenStage&, const Strided&, float*, char*, const Pool&) {}
