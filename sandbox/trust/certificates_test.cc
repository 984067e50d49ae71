// SPDX-License-Identifier: Apache-2.0
#include "sandbox/trust/certificates.h"

#include <doctest/doctest.h>

#include "base/error.h"
#include "base/text.h"

namespace cbuild::sandbox::trust {
namespace {

const std::string kBody =
    "MIIBQjCB9aADAgECAhRvd+r4nEav3BRRo0bEO+S91U+VxjAFBgMrZXAwFjEUMBIG\n"
    "A1UEAwwLY2J1aWxkLXRlc3QwIBcNMjYxMTMwMTU1MDM4WhgPMjEyNjExMDYxNTUw\n"
    "MzhaMBYxFDASBgNVBAMMC2NidWlsZC10ZXN0MCowBQYDK2VwAyEAZTAom5Zo3wjq\n"
    "24HEikZOLvaAuv0N4ckiMSg2GdaelNmjUzBRMB0GA1UdDgQWBBRrxY5JP68GRuyb\n"
    "M0KUOhaEpK5IVDAfBgNVHSMEGDAWgBRrxY5JP68GRuybM0KUOhaEpK5IVDAPBgNV\n"
    "HRMBAf8EBTADAQH/MAUGAytlcANBAAjyhBpjwHmMXGZoAm5GrYcbRAejGNBkd7ue\n"
    "uggIG9nA9Z6yhTI7tLct3STe70OQ76/MkjxhR93vibUV8UTbXA0=\n";

std::string pem(const std::string& body) {
  return cat("-----BEGIN CERTIFICATE-----\n", body, "-----END CERTIFICATE-----\n");
}

}  // namespace

TEST_CASE("certificates of a PEM file") {
  CHECK(read_pem("").empty());
  CHECK(read_pem("# a comment\n-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n").empty());
  const std::vector<std::string> one = read_pem(cat("# before\n", pem(kBody), "between\n", pem(kBody), "after"));
  REQUIRE(one.size() == 1);
  CHECK(one[0].size() == 326);
  CHECK(read_pem(replace_all(pem(kBody), "\n", "\r\n")) == one);
  const auto refusal = [](const std::string& text) {
    try {
      read_pem(text);
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::usage);
      return error.message();
    }
    return std::string("taken");
  };
  CHECK(refusal(pem(kBody) + "-----BEGIN CERTIFICATE-----\nMII") == "certificate 2 is cut off");
  CHECK(refusal(pem("!" + kBody)) == "certificate 1 is not a certificate");
  CHECK(refusal(pem("AAAA\n")) == "certificate 1 is not a certificate");
  CHECK(refusal(pem(kBody.substr(0, 64 * 5))) == "certificate 1 is not a certificate");
}

TEST_CASE("a key store as Java reads it") {
  const std::string store = java_key_store({"one", "two"});
  const std::string head("\xfe\xed\xfe\xed\0\0\0\2\0\0\0\2", 12);
  const auto entry = [](const std::string& alias, const std::string& certificate) {
    return cat(std::string("\0\0\0\2\0\4", 6), alias, std::string(8, '\0'), std::string("\0\5X.509\0\0\0\3", 11),
               certificate);
  };
  CHECK(store.substr(0, store.size() - 20) == cat(head, entry("ca-1", "one"), entry("ca-2", "two")));
  const unsigned char digest[20] = {0x45, 0xad, 0x70, 0xb7, 0x8a, 0xc9, 0xca, 0x62, 0x5d, 0x5a,
                                    0x36, 0xff, 0xf3, 0xc5, 0xef, 0x69, 0x5a, 0x95, 0x70, 0x59};
  CHECK(store.substr(store.size() - 20) == std::string(reinterpret_cast<const char*>(digest), 20));
}

}  // namespace cbuild::sandbox::trust
