// SPDX-License-Identifier: Apache-2.0
// Values of secrets in streams of output: each form, cut anywhere.
#include "solver/ops/secret_mask.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <utility>

#include "base/text.h"

namespace cbuild::solver::ops {
namespace {

struct MaskedText {
  SecretValues values;
  std::string out;
  SecretMask mask{&values};
  void write(std::string_view text) {
    mask.write(text, [&](std::string_view part) { out += part; });
  }
  std::string ended() {
    mask.flush([&](std::string_view part) { out += part; });
    return std::exchange(out, {});
  }
};

/// `text` in pieces of this size.
std::string masked(const std::vector<std::string>& secrets, std::string_view text, std::size_t piece) {
  MaskedText all;
  for (const std::string& secret : secrets) all.values.add(secret);
  for (std::size_t at = 0; at < text.size(); at += piece) all.write(text.substr(at, piece));
  return all.ended();
}

/// In every size of pieces.
void check_masked(const std::vector<std::string>& secrets, const std::string& text, const std::string& expected) {
  for (std::size_t piece = 1; piece <= text.size(); ++piece) {
    CAPTURE(piece);
    CHECK(masked(secrets, text, piece) == expected);
  }
}

}  // namespace

TEST_CASE("a value is replaced wherever it stands, however it comes") {
  check_masked({"s3cr3t-value\n"}, "a s3cr3t-value b\ns3cr3t-value\n", "a *** b\n***\n");
  check_masked({"s3cr3t-value"}, "s3cr3t-valu s3cr3t-value", "s3cr3t-valu ***");
  check_masked({"s3cr3t-value"}, "s3cr3ts3cr3t-value", "s3cr3t***");
  check_masked({"abababab"}, "xababababababy", "x***y");
  check_masked({"12345678"}, "1234567812345678.12345678", "***.***");
  check_masked({"12345678", "12345678-and-more", "78-and-m"}, "<12345678-and-m> <12345678-and-more>", "<***> <***>");
  check_masked({}, "nothing to hide", "nothing to hide");
}

TEST_CASE("a value of less than 8 bytes is shown") {
  check_masked({"1234567", "true\n", "", "\n\n\n\n\n\n\n\n\n"}, "1234567 true\n\n\n\n\n\n\n\n\n",
               "1234567 true\n\n\n\n\n\n\n\n\n");
}

TEST_CASE("lines of a value are replaced one by one, and the short ones with the whole") {
  const std::string key = "-----BEGIN KEY-----\r\nMIIEvQIBADAN\r\nAb==\r\n-----END KEY-----\r\n";
  check_masked({key}, cat("key:\n", key, "end\n"), "key:\n***\r\nend\n");
  check_masked({key}, "  MIIEvQIBADAN, Ab==\n", "  ***, Ab==\n");
}

TEST_CASE("encodings of a value are replaced, too") {
  const std::string value = "p@ss \"w0rd\"/'x'+?";
  for (const char* before : {"", "u", "us", "user:"})
    for (const char* behind : {"", "\n", "12"}) {
      const std::string text = base64_encode(cat(before, value, behind));
      const std::string shown = masked({value}, text, 3);
      CHECK(shown.find("***") != std::string::npos);
      CHECK(shown.size() <= 3 + 8 + 8);  // what stands before and behind, and a character shared with it
      std::string url = replace_all(replace_all(text, "+", "-"), "/", "_");
      CHECK(masked({value}, url, 3).find("***") != std::string::npos);
    }
  check_masked({value}, "a=p%40ss%20%22w0rd%22%2F%27x%27%2B%3F&b", "a=***&b");
  check_masked({value}, "a=p%40ss+%22w0rd%22%2f%27x%27%2b%3f&b", "a=p%40ss+%22w0rd%22%2f%27x%27%2b%3f&b");
  check_masked({value}, "a=p%40ss%20%22w0rd%22%2f%27x%27%2b%3f&b", "a=***&b");
  check_masked({value}, R"({"a":"p@ss \"w0rd\"/'x'+?"})", R"({"a":"***"})");
  check_masked({value}, R"(+ echo 'p@ss "w0rd"/'\''x'\''+?')", "+ echo '***'");
}

TEST_CASE("base64 in lines is replaced") {
  std::string value;
  for (int i = 0; i < 40; ++i) value += cat("line ", i * 7919, " of it;");
  const std::string all = base64_encode(cat(value, "\n"));
  for (const std::size_t columns : {76u, 64u}) {
    std::string lines;
    for (std::size_t at = 0; at < all.size(); at += columns) lines += cat(all.substr(at, columns), "\n");
    const std::string shown = masked({value}, lines, 5);
    CHECK(shown.size() < 12);
    CHECK(shown.find("***") != std::string::npos);
  }
}

TEST_CASE("memory is bounded for values and output of any length") {
  std::string value, text;
  for (int i = 0; value.size() < 100'000; ++i) value += cat(i * 7919, ':');
  for (const std::string& form : forms_of_secret(value)) CHECK(form.size() <= PatternSet::kMaxPattern);
  CHECK(masked({value}, cat("<", value, ">"), 1000) == "<***>");
  MaskedText repeated;
  repeated.values.add("aaaaaaaa");
  const std::string many(1 << 20, 'a');
  for (int i = 0; i < 32; ++i) repeated.write(many);
  CHECK(repeated.out == "***");
  CHECK(repeated.ended() == "***");
}

TEST_CASE("what may be a beginning is held back until it is clear") {
  MaskedText text;
  text.values.add("s3cr3t-value");
  text.write("is s3cr3t");
  CHECK(text.out == "is ");
  text.write("!");
  CHECK(text.out == "is s3cr3t!");
  text.write("s3");
  CHECK(text.ended() == "is s3cr3t!s3");
  text.write("cr3t-value");
  CHECK(text.ended() == "cr3t-value");
}

TEST_CASE("a value that is read while a step prints is replaced from then on") {
  MaskedText text;
  text.values.add("12345678");
  text.write("a 123456789");
  text.write("abc-of-the-ot");
  text.values.add("the-other-one");
  text.write("her-one the-other-one the-");
  text.values.add("the-third-one");
  text.write("third-one 12345678");
  CHECK(text.ended() == "a ***9abc-of-the-other-one *** *** ***");
}

TEST_CASE("a match that is said already stays so when a value comes") {
  MaskedText text;
  text.values.add("12345678");
  text.values.add("5678-and-so-on");
  text.write("<12345678-");
  CHECK(text.out == "<***");
  text.values.add("another-value");
  text.write(">another-value");
  CHECK(text.ended() == "<***->***");
}

}  // namespace cbuild::solver::ops
