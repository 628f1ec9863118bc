// Which kernels run: the list that the isa_*.cpp files join, the environment variable, the choice.

#include <atomic>
#include <cstdlib>
#include <cstring>

#include "isa.h"

namespace cnnzoo {
namespace {

// Both are constant-initialised, so they are ready before the static objects that join.
Isa* first = nullptr;
std::atomic<const Kernels*> chosen{nullptr};

// The list, once everybody has joined: whoever builds on another has found it.
const Isa* all() {
  static const bool ready = [] {
    for (Isa* isa = first; isa; isa = isa->next)
      for (const Isa* base = first; base && isa->builds_on; base = base->next)
        if (std::strcmp(base->kernels.name, isa->builds_on) == 0)
          isa->base = &base->kernels, isa->kernels.float32 = base->kernels.float32;
    return true;
  }();
  (void)ready;
  return first;
}

bool runs(const Isa* isa) { return (isa->base || !isa->builds_on) && isa->supported(); }

const Isa* find(const std::string& name) {
  for (const Isa* isa = all(); isa; isa = isa->next)
    if (runs(isa) && name == isa->kernels.name) return isa;
  return nullptr;
}

std::string refusal(const std::string& source, const std::string& name) {
  std::string sentence = source + ": expected ";
  const std::vector<std::string> legal = isas();
  for (size_t i = 0; i < legal.size(); ++i)
    sentence += (i == 0 ? "" : i + 1 < legal.size() ? ", " : " or ") + legal[i];
  for (const Isa* isa = all(); isa; isa = isa->next)
    if (name == isa->kernels.name) return sentence + ", got \"" + name + "\", which this machine lacks";
  return sentence + ", got \"" + name + "\"";
}

}  // namespace

Isa::Isa(const Kernels& kernels, int rank, bool (*supported)(), const char* builds_on)
    : kernels(kernels), rank(rank), supported(supported), builds_on(builds_on), base(nullptr) {
  Isa** place = &first;
  while (*place && (*place)->rank > rank) place = &(*place)->next;
  next = *place;
  *place = this;
}

std::vector<std::string> isas() {
  std::vector<std::string> names;
  for (const Isa* isa = all(); isa; isa = isa->next)
    if (runs(isa)) names.push_back(isa->kernels.name);
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
