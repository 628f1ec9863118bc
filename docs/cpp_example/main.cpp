// Classifies one image with a network that cnnzoo exported: no Python, no cnnzoo, only libtorch.
//
//     ./classify net.aoti.pt2 image.raw
//
// The image is raw: one byte a pixel, channel after channel, row after row, as the network's size
// says (784 bytes for 1x28x28). Size, mean, standard deviation and names of the classes travel in
// the package, as text: see docs/export.md. Prints the label and its probability.

#include <ATen/Tensor.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/tensor.h>
#include <c10/core/InferenceMode.h>
#include <c10/util/Exception.h>
#include <torch/csrc/inductor/aoti_package/model_package_loader.h>

#include <cstdint>
#include <fstream>
#include <iostream>
#include <iterator>
#include <sstream>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <vector>

using Facts = std::unordered_map<std::string, std::string>;

const std::string& find(const Facts& facts, const std::string& key) {
  const auto found = facts.find(key);
  if (found == facts.end())
    throw std::runtime_error("The package has no " + key + ": export a model with trained weights.");
  return found->second;
}

template <class Number>
std::vector<Number> numbers(const std::string& text) {
  std::istringstream words(text);
  return {std::istream_iterator<Number>(words), {}};
}

// One byte a pixel in the file -> float32 (1, C, H, W), scaled as in training.
at::Tensor read_image(const char* path, const Facts& facts) {
  const auto size = numbers<int64_t>(find(facts, "cnnzoo.size"));  // C H W
  const auto mean = numbers<double>(find(facts, "cnnzoo.mean"));
  const auto std = numbers<double>(find(facts, "cnnzoo.std"));
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error(std::string("Cannot read ") + path + ".");
  std::vector<char> bytes(std::istreambuf_iterator<char>(file), {});
  const int64_t expected = size.at(0) * size.at(1) * size.at(2);
  if (static_cast<int64_t>(bytes.size()) != expected)
    throw std::runtime_error("Expected an image of " + std::to_string(expected) + " bytes; got " +
                             std::to_string(bytes.size()) + ".");
  const auto pixels =
      at::from_blob(bytes.data(), {1, size[0], size[1], size[2]}, at::kByte).to(at::kFloat) / 255;
  const auto channels = at::TensorOptions().dtype(at::kFloat);
  return (pixels - at::tensor(mean, channels).view({1, -1, 1, 1})) /
         at::tensor(std, channels).view({1, -1, 1, 1});
}

std::string name_of(int64_t index, const Facts& facts) {
  std::istringstream lines(find(facts, "cnnzoo.classes"));  // a name a line
  std::string line;
  while (std::getline(lines, line))
    if (index-- == 0) return line;
  return "?";
}

int main(int argc, char** argv) try {
  if (argc != 3) throw std::runtime_error("usage: classify PACKAGE.pt2 IMAGE.raw");
  const c10::InferenceMode no_gradients;
  torch::inductor::AOTIModelPackageLoader network(argv[1]);
  const Facts facts = network.get_metadata();
  const at::Tensor logits = network.run({read_image(argv[2], facts)}).at(0);  // (1, classes)
  const at::Tensor probabilities = logits.softmax(1)[0];
  const int64_t best = probabilities.argmax().item<int64_t>();
  std::cout << name_of(best, facts) << ' ' << probabilities[best].item<float>() << '\n';
  return 0;
} catch (const c10::Error& error) {
  std::cerr << "Error: " << error.what_without_backtrace() << '\n';
  return 2;
} catch (const std::exception& error) {
  std::cerr << "Error: " << error.what() << '\n';
  return 2;
}
