// SPDX-License-Identifier: Apache-2.0
#include "api/session/header_text.h"

#include <doctest/doctest.h>

namespace cbuild::api {

TEST_CASE("header values are sent as they are while they are printable ASCII") {
  const HeaderValues plain = encode_header_values({"**/*.o", "a b", "100%", ""});
  CHECK_FALSE(plain.encoded);
  CHECK(plain.values == std::vector<std::string>{"**/*.o", "a b", "100%", ""});
}

TEST_CASE("one header value that is not ASCII has all of them encoded as a URL's query") {
  const HeaderValues encoded = encode_header_values({"b\u00e4r", "a b+c", "x-_.~/Z9*"});
  CHECK(encoded.encoded);
  CHECK(encoded.values == std::vector<std::string>{"b%C3%A4r", "a+b%2Bc", "x-_.~%2FZ9%2A"});
}

TEST_CASE("header values with control characters or blanks at an end are encoded") {
  CHECK(encode_header_values({"a\nb"}).values == std::vector<std::string>{"a%0Ab"});
  CHECK(encode_header_values({" a"}).values == std::vector<std::string>{"+a"});
  CHECK(encode_header_values({"a "}).values == std::vector<std::string>{"a+"});
}

TEST_CASE("header keys are lower case") {
  CHECK(is_header_key("exporter-md-containerimage.digest"));
  CHECK_FALSE(is_header_key("containerimage.config/linux"));
  CHECK_FALSE(is_header_key("Key"));
  CHECK_FALSE(is_header_key(""));
}

}  // namespace cbuild::api
