// SPDX-License-Identifier: Apache-2.0
#include "cli/flags/sign_options.h"

#include <fcntl.h>

#include <cstdlib>

#include "base/csv.h"
#include "base/error.h"
#include "base/plain_file.h"
#include "base/text.h"

namespace cbuild::cli {
namespace {

constexpr std::size_t kLargestKey = 64u << 10, kLargestPolicy = 4u << 20;
constexpr std::string_view kVariable = "env://";

[[noreturn]] void refuse_sign(const std::string& message, const std::string& hint = {}) {
  throw Error(ErrorCode::usage, message).with_hint(hint);
}

std::string read_plain(const std::string& flag, const std::string& path, std::size_t limit) {
  std::optional<std::string> text;
  try {
    text = sys::try_read_plain(AT_FDCWD, path, limit, sys::Pipes::taken);
  } catch (const Error& error) {
    refuse_sign(cat(flag, ": ", error.message()));
  }
  if (!text) refuse_sign(cat(flag, ": ", path, " does not exist"));
  return std::move(*text);
}

}  // namespace

std::string read_key(const std::string& flag, const std::string& place) {
  if (!place.starts_with(kVariable)) return read_plain(flag, place, kLargestKey);
  const std::string name = place.substr(kVariable.size());
  const char* value = std::getenv(name.c_str());
  if (value == nullptr || *value == '\0') refuse_sign(cat(flag, ": the variable ", name, " is not set"));
  return value;
}

std::shared_ptr<const supply::SigningKey> parse_sign(const std::string& text) {
  std::string place;
  for (const std::string& field : csv_fields(text, "--sign")) {
    if (!field.starts_with("key=")) refuse_sign(cat("--sign: '", field, "' is not key=FILE or key=env://NAME"));
    place = field.substr(4);
  }
  if (place.empty()) refuse_sign("--sign: key is required", "--sign key=FILE or key=env://NAME");
  std::optional<std::string> password;
  if (const char* value = std::getenv("COSIGN_PASSWORD"); value != nullptr) password = value;
  return std::make_shared<const supply::SigningKey>(
      supply::SigningKey::parse(read_key("--sign", place), place, password));
}

std::shared_ptr<const engine::SignaturePolicy> read_signature_policy(const std::string& path) {
  const std::string flag = "--signature-policy";
  const std::string text = read_plain(flag, path, kLargestPolicy);
  try {
    return std::make_shared<const engine::SignaturePolicy>(
        engine::SignaturePolicy::parse(text, [&](const std::string& key) {
          return read_plain(flag, key.starts_with('/') ? key : join_path(dir_name(path), key), kLargestKey);
        }));
  } catch (const Error& error) {
    refuse_sign(cat(path, ": ", error.message()), error.hint());
  }
}

}  // namespace cbuild::cli
