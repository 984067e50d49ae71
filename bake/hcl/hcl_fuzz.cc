// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>

#include "bake/hcl/evaluate.h"
#include "bake/hcl/parser.h"
#include "base/error.h"

namespace {

using namespace cbuild;
using namespace cbuild::bake::hcl;

/// Every name is a short list; there are no functions and blocks.
class FuzzNames : public Names {
 public:
  std::optional<Value> variable(const std::string& name) override {
    return Value::tuple({Value::string(name), Value::number(3)});
  }
  const UserFunction* function(const std::string&) override { return nullptr; }
  bool is_block(const std::string&) const override { return false; }
  std::optional<Value> block(const std::string&, const std::string&, const std::string&) override {
    return std::nullopt;
  }
  std::vector<std::string> known_names() const override { return {}; }
};

void evaluate_all(const Body& body, const Scope& scope) {
  for (const Assignment& assignment : body.attributes) {
    try {
      (void)to_json(evaluate(*assignment.value, scope));
    } catch (const DiagnosticError& error) {
      for (const Diagnostic& diagnostic : error.diagnostics()) (void)render(diagnostic);
    }
  }
  for (const Block& block : body.blocks) evaluate_all(block.body, scope);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const auto source = std::make_shared<const SourceText>("fuzz.hcl", text);
  const std::vector<std::string> types = {"target", "variable"};
  for (const bool json : {false, true}) {
    FuzzNames names;
    Budget budget;
    budget.spent = 250 << 20;  // the rest is enough, and what runs long ends soon
    try {
      evaluate_all(json ? parse_json(source, types) : parse(source), Scope{names, budget});
    } catch (const DiagnosticError&) {
    } catch (const Error&) {
    }
  }
  return 0;
}
