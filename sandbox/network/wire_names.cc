// SPDX-License-Identifier: Apache-2.0
#include "sandbox/network/wire_names.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/text.h"

namespace cbuild::sandbox::network {
namespace {

constexpr std::size_t kDnsHeader = 12, kMaxHead = 16u << 10;
constexpr std::uint16_t kClassIn = 1;

/// Reads big-endian numbers; false for ever when there are not enough bytes.
class WireReader {
 public:
  explicit WireReader(std::string_view bytes) : left_(bytes) {}

  bool ok() const { return ok_; }
  std::string_view left() const { return left_; }
  std::string_view bytes(std::size_t count) {
    if (!ok_ || count > left_.size()) {
      ok_ = false;
      return {};
    }
    const std::string_view out = left_.substr(0, count);
    left_.remove_prefix(count);
    return out;
  }
  std::size_t number(std::size_t width) {
    std::size_t out = 0;
    for (const char c : bytes(width)) out = out << 8 | static_cast<unsigned char>(c);
    return out;
  }
  std::string_view block(std::size_t width) { return bytes(number(width)); }

 private:
  std::string_view left_;
  bool ok_ = true;
};

bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= 253 && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return c > 0x20 && c < 0x7f && c != '/' && c != ':';
  });
}

WireName named(std::string_view name) {
  if (name.ends_with('.')) name.remove_suffix(1);
  if (!is_name(name)) return {};
  return {Wire::named, to_lower(name)};
}

/// The host_name of a server_name extension.
WireName server_name(std::string_view extension) {
  WireReader list(WireReader(extension).block(2));
  while (list.ok() && !list.left().empty()) {
    const std::size_t type = list.number(1);
    const std::string_view name = list.block(2);
    if (list.ok() && type == 0) return named(name);
  }
  return {};
}

/// The handshake message may be cut into records.
WireName client_hello_name(std::string_view bytes) {
  std::string message;
  WireReader records(bytes);
  while (!records.left().empty()) {
    if (records.left()[0] != 22) return {};
    records.bytes(3);
    const std::string_view body = records.block(2);
    if (!records.ok()) return {Wire::more};
    message += body;
    if (message.size() >= 4) break;
  }
  if (message.size() < 4) return {Wire::more};
  if (message[0] != 1) return {};
  const std::size_t size = 4 + WireReader(std::string_view(message).substr(1)).number(3);
  if (size > kMaxHead) return {};
  while (message.size() < size) {
    if (records.left().empty()) return {Wire::more};
    if (records.left()[0] != 22) return {};
    records.bytes(3);
    message += records.block(2);
    if (!records.ok()) return {Wire::more};
  }
  WireReader hello(std::string_view(message).substr(4, size - 4));
  hello.bytes(2 + 32);
  hello.block(1);  // session
  hello.block(2);  // cipher suites
  hello.block(1);  // compression
  WireReader extensions(hello.block(2));
  if (!hello.ok()) return {};
  while (extensions.ok() && !extensions.left().empty()) {
    const std::size_t type = extensions.number(2);
    const std::string_view body = extensions.block(2);
    if (extensions.ok() && type == 0) return server_name(body);
  }
  return {};
}

bool is_request_line(std::string_view line) {
  const std::size_t space = line.find(' ');
  if (space == 0 || space > 20 || space == std::string_view::npos) return false;
  return line.find(" HTTP/1.") != std::string_view::npos;
}

/// Only as much as may still become a method.
bool starts_like_request(std::string_view bytes) {
  const std::string_view method = bytes.substr(0, std::min<std::size_t>(bytes.find(' '), bytes.size()));
  return !method.empty() && method.size() <= 20 &&
         std::all_of(method.begin(), method.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
}

WireName host_header(std::string_view bytes) {
  if (!starts_like_request(bytes)) return {};
  const std::size_t end = bytes.find("\r\n\r\n");
  if (end == std::string_view::npos) return {bytes.size() < kMaxHead ? Wire::more : Wire::plain};
  bool first = true;
  for (const std::string& raw : split(bytes.substr(0, end), '\n')) {
    const std::string_view line = trim(raw);
    if (first && !is_request_line(line)) return {};
    first = false;
    if (!starts_with_i(line, "host:")) continue;
    std::string_view host = trim(line.substr(5));
    if (const std::size_t colon = host.rfind(':'); colon != std::string_view::npos && !host.ends_with(']'))
      host = host.substr(0, colon);
    return named(host);
  }
  return {};
}

/// The name at the reader; pointers (RFC 1035 4.1.4) are skipped, not followed.
bool skip_name(WireReader& in) {
  for (;;) {
    const std::size_t size = in.number(1);
    if (!in.ok() || size == 0) return in.ok();
    if (size >= 0xc0) {
      in.bytes(1);
      return in.ok();
    }
    if (size > 63) return false;
    in.bytes(size);
  }
}

}  // namespace

WireName first_name(std::string_view bytes) {
  if (bytes.empty()) return {Wire::more};
  bytes = bytes.substr(0, kMaxHead);
  return bytes[0] == 22 ? client_hello_name(bytes) : host_header(bytes);
}

std::optional<DnsQuestion> dns_question(std::string_view message) {
  WireReader in(message);
  in.bytes(2);
  const std::size_t flags = in.number(2), questions = in.number(2);
  in.bytes(6);
  if (!in.ok() || (flags & 0xf800) != 0 || questions != 1) return std::nullopt;
  DnsQuestion out;
  for (;;) {
    const std::string_view label = in.block(1);
    if (!in.ok() || label.size() > 63 || out.name.size() > 253) return std::nullopt;
    if (label.empty()) break;
    if (!is_name(label) || label.find('.') != std::string_view::npos) return std::nullopt;
    out.name += cat(out.name.empty() ? "" : ".", to_lower(label));
  }
  out.type = static_cast<std::uint16_t>(in.number(2));
  if (in.number(2) != kClassIn || !in.ok()) return std::nullopt;
  out.size = message.size() - in.left().size();
  return out;
}

std::string dns_answer(std::string_view message, const DnsQuestion& question, unsigned code) {
  std::string out(message.substr(0, question.size));
  out[2] = static_cast<char>((static_cast<unsigned char>(out[2]) & 0x01) | 0x80);  // an answer; recursion as wished
  out[3] = static_cast<char>(0x80 | code);                                         // recursion available
  std::fill(out.begin() + 6, out.begin() + kDnsHeader, '\0');
  return out;
}

std::vector<IpAddress> dns_addresses(std::string_view message) {
  std::vector<IpAddress> out;
  WireReader in(message);
  in.bytes(4);
  std::size_t questions = in.number(2), answers = in.number(2);
  in.bytes(4);
  for (; questions > 0 && skip_name(in); --questions) in.bytes(4);
  for (; in.ok() && answers > 0 && skip_name(in); --answers) {
    const std::size_t type = in.number(2), klass = in.number(2);
    in.bytes(4);
    const std::string_view data = in.block(2);
    IpAddress address{};
    if (!in.ok() || klass != kClassIn) continue;
    if (type == kDnsA && data.size() == 4) {
      address[10] = address[11] = 0xff;
      std::memcpy(address.data() + 12, data.data(), 4);
      out.push_back(address);
    } else if (type == kDnsAaaa && data.size() == 16) {
      std::memcpy(address.data(), data.data(), 16);
      out.push_back(address);
    }
  }
  return out;
}

}  // namespace cbuild::sandbox::network
