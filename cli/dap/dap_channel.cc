// SPDX-License-Identifier: Apache-2.0
#include "cli/dap/dap_channel.h"

#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"

namespace cbuild::cli {
namespace {

constexpr std::size_t kMaxHeader = 4096;
constexpr std::int64_t kMaxMessage = 16 << 20;

std::optional<std::size_t> content_length(const std::string& header) {
  for (const std::string& line : split(header, '\n')) {
    const std::size_t colon = line.find(':');
    if (colon == std::string::npos || !iequals(trim(line.substr(0, colon)), "content-length")) continue;
    const auto length = parse_int(trim(line.substr(colon + 1)));
    if (length && *length >= 0 && *length <= kMaxMessage) return static_cast<std::size_t>(*length);
  }
  return std::nullopt;
}

/// As it was sent, whatever its type is.
DapJson member_or(const DapJson& json, const char* name, DapJson other) {
  const auto found = json.find(name);
  return found == json.end() ? other : *found;
}

}  // namespace

bool DapChannel::read_more() {
  std::array<char, 65536> bytes;
  for (;;) {
    pollfd polled[] = {{stop_.event_fd(), POLLIN, 0}, {in_, POLLIN, 0}};
    if (::poll(polled, 2, -1) < 0 && errno != EINTR) return false;
    if (polled[0].revents != 0) return false;
    if (polled[1].revents == 0) continue;
    const ssize_t got = ::read(in_, bytes.data(), bytes.size());
    if (got < 0 && errno == EINTR) continue;
    if (got > 0) buffer_.append(bytes.data(), static_cast<std::size_t>(got));
    return got > 0;
  }
}

std::optional<std::string> DapChannel::read_header() {
  std::size_t end = 0;
  while ((end = buffer_.find("\r\n\r\n")) == std::string::npos)
    if (buffer_.size() > kMaxHeader || !read_more()) return std::nullopt;
  std::string header = buffer_.substr(0, end);
  buffer_.erase(0, end + 4);
  return header;
}

std::optional<DapJson> DapChannel::receive() {
  const auto header = read_header();
  const auto length = header ? content_length(*header) : std::nullopt;
  if (!length) return std::nullopt;
  while (buffer_.size() < *length)
    if (!read_more()) return std::nullopt;
  DapJson message = DapJson::parse(buffer_.substr(0, *length), nullptr, false);
  buffer_.erase(0, *length);
  if (!message.is_object()) return std::nullopt;
  return message;
}

void DapChannel::send(DapJson message) {
  const std::lock_guard lock(mutex_);
  message["seq"] = ++sequence_;
  const std::string text = message.dump(-1, ' ', false, DapJson::error_handler_t::replace);
  try {
    sys::write_all(out_, cat("Content-Length: ", text.size(), "\r\n\r\n", text));
  } catch (const Error&) {
    // The other side is gone; its end of our input says so.
  }
}

void DapChannel::send_event(const std::string& event, DapJson body) {
  send({{"type", "event"}, {"event", event}, {"body", std::move(body)}});
}

void DapChannel::respond(const DapJson& request) {
  send({{"type", "response"},
        {"request_seq", member_or(request, "seq", 0)},
        {"command", member_or(request, "command", "")},
        {"success", true}});
}

void DapChannel::respond(const DapJson& request, DapJson body) {
  send({{"type", "response"},
        {"request_seq", member_or(request, "seq", 0)},
        {"command", member_or(request, "command", "")},
        {"success", true},
        {"body", std::move(body)}});
}

void DapChannel::refuse(const DapJson& request, const std::string& message) {
  send({{"type", "response"},
        {"request_seq", member_or(request, "seq", 0)},
        {"command", member_or(request, "command", "")},
        {"success", false},
        {"message", message}});
}

}  // namespace cbuild::cli
