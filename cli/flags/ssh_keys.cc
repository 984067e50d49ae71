// SPDX-License-Identifier: Apache-2.0
#include "cli/flags/ssh_keys.h"

#include <string_view>

#include "base/error.h"
#include "base/text.h"
#include "engine/request/key_agents.h"

namespace cbuild::cli {
namespace {

constexpr std::string_view kBegin = "-----BEGIN ", kEnd = "-----END ";
constexpr std::string_view kMagic{"openssh-key-v1\0", 15};

/// The cipher that openssh's own format names behind its magic; "none" for a key in the clear.
std::string openssh_cipher(std::string_view text) {
  const std::size_t begin = text.find('\n');
  const std::size_t end = text.find(kEnd);
  if (begin == std::string_view::npos || end == std::string_view::npos || end < begin) return {};
  const auto body = base64_decode(trim(replace_all(std::string(text.substr(begin, end - begin)), "\r", "")));
  if (!body || !body->starts_with(kMagic) || body->size() < kMagic.size() + 4) return {};
  std::size_t length = 0;
  for (std::size_t i = 0; i < 4; ++i) length = length << 8 | static_cast<unsigned char>((*body)[kMagic.size() + i]);
  return length > 64 ? std::string() : body->substr(kMagic.size() + 4, length);
}

}  // namespace

void check_ssh_key(const std::string& flag, const std::string& path) {
  std::string text;
  try {
    text = engine::read_private_key(flag, path);
  } catch (const Error& error) {
    throw Error(ErrorCode::usage, cat(flag, ": ", error.message()));
  }
  const std::size_t begin = text.find(kBegin);
  const std::string kind = begin == std::string::npos ? "" : text.substr(begin, text.find('\n', begin) - begin);
  if (kind.find("PRIVATE KEY-----") == std::string::npos)
    throw Error(ErrorCode::usage, cat(flag, ": ", path, " is neither a socket nor a private key"));
  bool encrypted = kind.find("ENCRYPTED") != std::string::npos || text.find("Proc-Type: 4,ENCRYPTED") < text.size();
  if (kind.find("OPENSSH") != std::string::npos) {
    const std::string cipher = openssh_cipher(std::string_view(text).substr(begin));
    if (cipher.empty()) throw Error(ErrorCode::usage, cat(flag, ": ", path, " is a damaged private key"));
    encrypted = cipher != "none";
  }
  if (encrypted)
    throw Error(ErrorCode::usage, cat(flag, ": the key ", path, " is encrypted"))
        .with_hint("add it to an agent with ssh-add, and give that: --ssh default");
}

}  // namespace cbuild::cli
