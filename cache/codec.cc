// SPDX-License-Identifier: Apache-2.0
#include "cache/codec.h"

#include <cstdint>

#include "base/text.h"

namespace cbuild::cache {

namespace {

std::size_t count(const std::vector<std::string>& texts, std::size_t at) {
  if (at >= texts.size()) return 0;
  const auto value = parse_int(texts[at]);
  return value && *value > 0 ? static_cast<std::size_t>(*value) : 0;
}

}  // namespace

std::string encode_texts(const std::vector<std::string>& texts) {
  std::string out;
  for (const std::string& text : texts) {
    for (unsigned shift = 0; shift < 32; shift += 8) out += static_cast<char>(text.size() >> shift);
    out += text;
  }
  return out;
}

std::vector<std::string> decode_texts(std::string_view bytes) {
  std::vector<std::string> out;
  while (bytes.size() >= 4) {
    std::size_t size = 0;
    for (unsigned i = 0; i < 4; ++i) size |= std::size_t{static_cast<std::uint8_t>(bytes[i])} << (8 * i);
    bytes.remove_prefix(4);
    if (size > bytes.size()) break;
    out.emplace_back(bytes.substr(0, size));
    bytes.remove_prefix(size);
  }
  return out;
}

std::string encode_parts(const std::vector<KeyPart>& parts) {
  std::vector<std::string> texts;
  texts.reserve(2 * parts.size());
  for (const KeyPart& part : parts) {
    texts.push_back(part.label);
    texts.push_back(part.value);
  }
  return encode_texts(texts);
}

std::vector<KeyPart> decode_parts(std::string_view bytes) {
  std::vector<std::string> texts = decode_texts(bytes);
  std::vector<KeyPart> parts;
  parts.reserve(texts.size() / 2);
  for (std::size_t i = 0; i + 1 < texts.size(); i += 2) parts.push_back({std::move(texts[i]), std::move(texts[i + 1])});
  return parts;
}

std::string encode_extra(const oci::Descriptor& descriptor) {
  if (descriptor.annotations.empty() && descriptor.urls.empty() && descriptor.artifact_type.empty()) return {};
  std::vector<std::string> texts{descriptor.artifact_type, std::to_string(descriptor.urls.size())};
  texts.insert(texts.end(), descriptor.urls.begin(), descriptor.urls.end());
  for (const auto& [key, value] : descriptor.annotations) {
    texts.push_back(key);
    texts.push_back(value);
  }
  return encode_texts(texts);
}

void decode_extra(std::string_view bytes, oci::Descriptor& descriptor) {
  const std::vector<std::string> texts = decode_texts(bytes);
  if (texts.empty()) return;
  descriptor.artifact_type = texts[0];
  std::size_t at = 2;
  for (std::size_t left = count(texts, 1); left > 0 && at < texts.size(); --left)
    descriptor.urls.push_back(texts[at++]);
  for (; at + 1 < texts.size(); at += 2) descriptor.annotations.emplace(texts[at], texts[at + 1]);
}

}  // namespace cbuild::cache
