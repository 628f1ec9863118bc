// The gradients of a classifier head (head.h). First the threads take images of their own from the last layer down to
// the output of the first, and lay the first layer's weights out in the order of x. Then they share the columns of all
// layers' inputs: a panel of columns gives grad_weight for them and, of the first layer, grad_x. At last the first
// layer's grad_weight goes back into torch's order.

struct HeadGradients {
  const Head& call;
  int64_t shares;
  size_t weight = 0, grad_weight = 0;  // (out, in) of the first layer in the order of x; where pixels are 1, not used
  size_t sums = 0;                     // (N, out) of every layer but the last: the gradient of its y, before its ReLU
  size_t lane = 0, lane_bytes = 0, bytes = 0;

  HeadGradients(const Head& call, const Pool& pool) : call(call), shares(head_shares(call, pool)) {
    const HeadLayer& first = call.layers[0];
    Layout layout;
    if (call.pixels > 1) {
      weight = layout.take<float>(first.in * first.out);
      grad_weight = layout.take<float>(first.in * first.out);
    }
    int64_t hidden = 0, deepest = call.images;
    for (int64_t i = 0; i < call.count; ++i) {
      deepest = max(deepest, call.layers[i].out);
      if (i + 1 < call.count) hidden += call.layers[i].out;
    }
    sums = layout.take<float>(call.images * hidden);
    lane = layout.bytes;
    Layout panel;
    panel.take<float>(deepest * PANEL);
    lane_bytes = panel.bytes;
    bytes = lane + size_t(shares) * lane_bytes;
  }

  // The gradient of the output of layer i, before its ReLU.
  const float* grad(void* workspace, int64_t i) const { return i + 1 == call.count ? call.grad : sum(workspace, i); }
  float* sum(void* workspace, int64_t i) const {
    float* to = at<float>(workspace, sums);
    for (int64_t j = 0; j < i; ++j) to += call.images * call.layers[j].out;
    return to;
  }
};

// No gradient goes where the ReLU gave 0; through a NaN it does.
void close_gate(float* grad, const float* y, int64_t n) {
  int64_t i = 0;
  for (; i + LANES <= n; i += LANES) {
    const Vec v = load(y + i);
    store(grad + i, pick(either(above(v, zero()), unordered(v, v)), load(grad + i), zero()));
  }
  for (; i < n; ++i) grad[i] = y[i] <= 0 ? 0 : grad[i];
}

// Images [begin, end): from the gradient of y of each layer to that of the layer below.
void head_descend(const HeadGradients& g, int64_t begin, int64_t end, void* workspace, float* own) {
  for (int64_t i = g.call.count - 1; i > 0; --i) {
    const HeadLayer &layer = g.call.layers[i], &below = g.call.layers[i - 1];
    float* const sum = g.sum(workspace, i - 1);
    const Product p{g.grad(workspace, i), layer.out, 1, layer.out, nullptr, sum, layer.in};
    for (int64_t k = 0; k < layer.in; k += PANEL) {
      const int64_t columns = min(PANEL, layer.in - k);
      const Panel weight(own, layer.weight + k, layer.in, layer.out, columns);
      product(p, weight.data, weight.step, begin, end, k, columns);
    }
    close_gate(sum + begin * layer.in, below.y + begin * layer.in, (end - begin) * layer.in);
  }
}

// Columns [column, column + columns) of the input of layer i.
void head_columns(const HeadGradients& g, int64_t i, int64_t column, void* workspace, float* own) {
  const Head& call = g.call;
  const HeadLayer& layer = call.layers[i];
  const bool permuted = i == 0 && call.pixels > 1;
  const int64_t columns = min(PANEL, layer.in - column);
  const float* const grad = g.grad(workspace, i);
  if (i == 0 && call.grad_x) {
    const float* const weight = permuted ? at<float>(workspace, g.weight) : layer.weight;
    const Product dx{grad, layer.out, 1, layer.out, nullptr, call.grad_x, layer.in};
    const Panel b(own, weight + column, layer.in, layer.out, columns);
    product(dx, b.data, b.step, 0, call.images, column, columns);
  }
  if (layer.grad_weight) {
    float* const to = permuted ? at<float>(workspace, g.grad_weight) : layer.grad_weight;
    const Product dw{grad, 1, layer.out, call.images, nullptr, to, layer.in};
    const Panel b(own, (i ? call.layers[i - 1].y : call.x) + column, layer.in, call.images, columns);
    product(dw, b.data, b.step, 0, layer.out, column, columns);
  }
}

void sum_rows(float* out, const float* in, int64_t rows, int64_t columns) {
  int64_t c = 0;
  for (; c + LANES <= columns; c += LANES) {
    Vec sum = zero();
    for (int64_t i = 0; i < rows; ++i) sum = add(sum, load(in + i * columns + c));
    store(out + c, sum);
  }
  for (; c < columns; ++c) {
    float sum = 0;
    for (int64_t i = 0; i < rows; ++i) sum += in[i * columns + c];
    out[c] = sum;
  }
}

void head_backward(const Head& call, void* workspace, const Pool& pool) {
  const HeadGradients g(call, pool);
  const HeadLayer& first = call.layers[0];
  const auto share_of = [&](int64_t all, int64_t share) { return part(all, g.shares, share); };
  parallel(pool, g.shares, 1, [&](int64_t lane, int64_t share, int64_t) {
    float* const own = at<float>(workspace, g.lane + size_t(lane) * g.lane_bytes);
    head_descend(g, share_of(call.images, share), share_of(call.images, share + 1), workspace, own);
    if (call.pixels > 1 && call.grad_x)
      for (int64_t k = share_of(first.out, share); k < share_of(first.out, share + 1); ++k)
        permute_row(at<float>(workspace, g.weight) + k * first.in, first.weight + k * first.in, call.channels,
                    call.pixels);
  });
  parallel(pool, g.shares, 1, [&](int64_t lane, int64_t share, int64_t) {
    float* const own = at<float>(workspace, g.lane + size_t(lane) * g.lane_bytes);
    for (int64_t i = 0; i < call.count; ++i) {
      const int64_t all = panels(call.layers[i].in);
      // The last share of the first layer's panels is the larger one, so the others go the other way around.
      const int64_t mine = i ? g.shares - 1 - share : share;
      for (int64_t p = share_of(all, mine); p < share_of(all, mine + 1); ++p)
        head_columns(g, i, p * PANEL, workspace, own);
      if (share == 0 && call.layers[i].grad_bias)
        sum_rows(call.layers[i].grad_bias, g.grad(workspace, i), call.images, call.layers[i].out);
    }
  });
  if (call.pixels == 1 || !first.grad_weight) return;
  parallel(pool, g.shares, 1, [&](int64_t, int64_t share, int64_t) {
    for (int64_t k = share_of(first.out, share); k < share_of(first.out, share + 1); ++k)
      permute_row(first.grad_weight + k * first.in, at<float>(workspace, g.grad_weight) + k * first.in, call.pixels,
                  call.channels);
  });
}

size_t head_workspace(const Head& call, bool backward, int threads) {
  const Pool pool{threads, nullptr, nullptr};
  return backward ? HeadGradients(call, pool).bytes : HeadForward(call, pool).bytes;
}

HeadKernels head_kernels_here(NAME, head_workspace, head_forward, head_backward);
