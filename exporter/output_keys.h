// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "exporter/outputs.h"

namespace cbuild::exporter {

/// Throws Error{usage} in the name of --output.
[[noreturn]] void refuse_output(const std::string& message, const std::string& hint = {});

/// A key without a value is true. Throws Error{usage}.
bool output_truth(std::string_view key, const std::string& value);

/// OutputKey::set for a member that is true or false.
template <bool Output::*kMember>
void set_output_truth(Output& output, std::string_view key, const std::string& value) {
  output.*kMember = output_truth(key, value);
}

/// OutputKey::set for keys that BuildKit's exporters know, or knew, and that change nothing here.
void check_output_truth(Output& output, std::string_view key, const std::string& value);
void ignore_output_key(Output& output, std::string_view key, const std::string& value);

/// Sets one key: of all outputs, of all images, or of a type. One set of keys is taken by all types, as one line may
/// be shared between builds with different ones. Throws Error{usage} with a suggestion for an unknown key.
void set_output_key(Output& output, const std::string& key, const std::string& value);

}  // namespace cbuild::exporter
