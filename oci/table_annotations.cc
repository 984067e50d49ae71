// SPDX-License-Identifier: Apache-2.0
#include "oci/table_annotations.h"

#include "base/text.h"

namespace cbuild::oci {

std::string annotation(const Descriptor& descriptor, std::string_view name) {
  const auto found = descriptor.annotations.find(std::string(name));
  return found == descriptor.annotations.end() ? std::string() : found->second;
}

std::string table_claim(const Descriptor& layer) {
  std::string out;
  for (const std::string_view name : {kStargzTable, kChunkedTable})
    if (const auto digest = Digest::parse(annotation(layer, name))) out += cat(name, '=', digest->str(), '\n');
  return out;
}

Annotations table_annotations(const Annotations& all) {
  Annotations out;
  for (const std::string_view name : {kStargzTable, kStargzSize, kChunkedTable, kChunkedPlace})
    if (const auto found = all.find(std::string(name)); found != all.end()) out.insert(*found);
  return out;
}

}  // namespace cbuild::oci
