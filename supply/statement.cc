// SPDX-License-Identifier: Apache-2.0
#include "supply/statement.h"

#include <nlohmann/json.hpp>

#include "base/error.h"

namespace cbuild::supply {

using StatementJson = nlohmann::ordered_json;

std::string to_statement(std::string_view predicate_type, const std::vector<Subject>& subjects,
                         std::string_view predicate, bool indented) {
  StatementJson out = {{"_type", "https://in-toto.io/Statement/v1"}, {"predicateType", predicate_type}};
  out["subject"] = StatementJson::array();
  for (const Subject& subject : subjects) {
    StatementJson digest = StatementJson::object();
    for (const auto& [algorithm, hex] : subject.digest) digest[algorithm] = hex;
    out["subject"].push_back({{"name", subject.name}, {"digest", std::move(digest)}});
  }
  out["predicate"] = StatementJson::parse(predicate, nullptr, false);
  if (out["predicate"].is_discarded()) throw Error(ErrorCode::corrupt, "the predicate of a statement is not JSON");
  return out.dump(indented ? 2 : -1, ' ', false, StatementJson::error_handler_t::replace);
}

}  // namespace cbuild::supply
