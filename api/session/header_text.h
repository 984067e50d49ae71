// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

/// Text in the headers of a gRPC call, which are printable ASCII.
namespace cbuild::api {

/// Lower-case letters, digits, '-', '_' and '.'; not empty.
bool is_header_key(std::string_view key);
bool is_header_value(std::string_view value);

/// Values of one header as the file services read them: as they are, or, if one of them cannot be in a header, all as
/// in the query of a URL.
struct HeaderValues {
  std::vector<std::string> values;
  bool encoded = false;  ///< the header KEY-encoded says so with a 1
};
HeaderValues encode_header_values(const std::vector<std::string>& values);

}  // namespace cbuild::api
