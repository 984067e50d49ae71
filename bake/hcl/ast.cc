// SPDX-License-Identifier: Apache-2.0
#include "bake/hcl/ast.h"

namespace cbuild::bake::hcl {

const Assignment* Body::find(std::string_view name) const {
  for (auto item = attributes.rbegin(); item != attributes.rend(); ++item)
    if (item->name == name) return &*item;
  return nullptr;
}

const std::string* as_word(const Expression& expression) {
  const auto* variable = std::get_if<Variable>(&expression.node);
  return variable ? &variable->name : nullptr;
}

}  // namespace cbuild::bake::hcl
