// SPDX-License-Identifier: Apache-2.0
#include "api/llb/unknown_fields.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <google/protobuf/unknown_field_set.h>

#include <vector>

#include "base/text.h"

namespace cbuild::api {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

std::string below(const std::string& path, const std::string& name) {
  return path.empty() ? name : cat(path, ".", name);
}

std::optional<std::string> find_in(const Message& message, const std::string& path);

std::optional<std::string> check_enum(const FieldDescriptor& field, int number, const std::string& path) {
  if (field.enum_type()->FindValueByNumber(number) != nullptr) return std::nullopt;
  return cat(path, ": unknown value ", number);
}

std::optional<std::string> find_in_field(const Message& message, const FieldDescriptor& field,
                                         const std::string& path) {
  const google::protobuf::Reflection& reflection = *message.GetReflection();
  const bool is_message = field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
  const bool is_enum = field.cpp_type() == FieldDescriptor::CPPTYPE_ENUM;
  if (!field.is_repeated()) {
    if (is_message) return find_in(reflection.GetMessage(message, &field), path);
    return is_enum ? check_enum(field, reflection.GetEnumValue(message, &field), path) : std::nullopt;
  }
  if (!is_message) return std::nullopt;
  for (int i = 0; i < reflection.FieldSize(message, &field); ++i)
    if (auto found = find_in(reflection.GetRepeatedMessage(message, &field, i), path)) return found;
  return std::nullopt;
}

std::optional<std::string> find_in(const Message& message, const std::string& path) {
  const google::protobuf::Reflection& reflection = *message.GetReflection();
  const google::protobuf::UnknownFieldSet& unknown = reflection.GetUnknownFields(message);
  if (unknown.field_count() > 0)
    return cat(path.empty() ? std::string("operation") : path, ": unknown field ", unknown.field(0).number());
  std::vector<const FieldDescriptor*> fields;
  reflection.ListFields(message, &fields);
  for (const FieldDescriptor* field : fields)
    if (auto found = find_in_field(message, *field, below(path, std::string(field->name())))) return found;
  return std::nullopt;
}

}  // namespace

std::optional<std::string> find_unknown(const Message& message) { return find_in(message, {}); }

}  // namespace cbuild::api
