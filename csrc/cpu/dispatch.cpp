// Which kernels run: the list that the isa_*.cpp files join, the environment variable, the choice.

#include <atomic>
#include <cstdlib>

#include "isa.h"

namespace cnnzoo {
namespace {

// Both are constant-initialised, so they are ready before the static objects that join.
Isa* first = nullptr;
std::atomic<const Kernels*> chosen{nullptr};

const Isa* find(const std::string& name) {
  for (const Isa* isa = first; isa; isa = isa->next)
    if (isa->supported() && name == isa->kernels.name) return isa;
  return nullptr;
}

std::string refusal(const std::string& source, const std::string& name) {
  std::string sentence = source + ": expected ";
  const std::vector<std::string> legal = isas();
  for (size_t i = 0; i < legal.size(); ++i)
    sentence += (i == 0 ? "" : i + 1 < legal.size() ? ", " : " or ") + legal[i];
  for (const Isa* isa = first; isa; isa = isa->next)
    if (name == isa->kernels.name) return sentence + ", got \"" + name + "\", which this machine lacks";
  return sentence + ", got \"" + name + "\"";
}

}  // namespace

Isa::Isa(const Kernels& kernels, int rank, bool (*supported)())
    : kernels(kernels), rank(rank), supported(supported) {
  Isa** place = &first;
  while (*place && (*place)->rank > rank) place = &(*place)->next;
  next = *place;
  *place = this;
}

std::vector<std::string> isas() {
  std::vector<std::string> names;
  for (const Isa* isa = first; isa; isa = isa->next)
    if (isa->supported()) names.push_back(isa->kernels.name);
  return names;
}

const Kernels* current(std::string* error) {
  if (const Kernels* kernels = chosen.load(std::memory_order_acquire)) return kernels;
  static const char* const wish = std::getenv("CNNZOO_ISA");
  const std::string name = wish && *wish ? wish : isas().front();
  const Isa* isa = find(name);
  if (!isa) {
    if (error) *error = refusal("CNNZOO_ISA", name);
    return nullptr;
  }
  const Kernels* none = nullptr;  // a select() in another thread may have come first
  chosen.compare_exchange_strong(none, &isa->kernels, std::memory_order_acq_rel);
  return chosen.load(std::memory_order_acquire);
}

std::string select(const std::string& name) {
  const Isa* isa = find(name);
  if (!isa) return refusal("instruction set", name);
  chosen.store(&isa->kernels, std::memory_order_release);
  return "";
}

}  // namespace cnnzoo
