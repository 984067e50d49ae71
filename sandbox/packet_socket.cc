// SPDX-License-Identifier: Apache-2.0
// Messages with descriptors between the builder and the sandbox process. SOCK_SEQPACKET keeps the boundaries; both of
// its limits are hidden: data that may not fit a socket buffer goes as a memfd, and descriptors beyond the kernel's
// number for one message go ahead in messages of their own.
#include "sandbox/packet_socket.h"

#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "base/sys.h"

namespace cbuild::sandbox {
namespace {

constexpr std::size_t kMaxDescriptors = 250;   // SCM_MAX_FD is 253
constexpr std::size_t kMaxInline = 32u << 10;  // well below any socket buffer

enum class Kind : char { more_descriptors = 'd', inline_data = 'i', data_in_memfd = 'm' };

void send_message(int fd, Kind kind, std::string_view data, std::span<const int> descriptors) {
  char tag = static_cast<char>(kind);
  iovec parts[2] = {{&tag, 1}, {const_cast<char*>(data.data()), data.size()}};
  alignas(cmsghdr) char control[CMSG_SPACE(kMaxDescriptors * sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = parts;
  message.msg_iovlen = 2;
  if (!descriptors.empty()) {
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(descriptors.size_bytes());
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(descriptors.size_bytes());
    std::memcpy(CMSG_DATA(header), descriptors.data(), descriptors.size_bytes());
  }
  while (::sendmsg(fd, &message, MSG_NOSIGNAL) < 0)
    if (errno != EINTR) throw_errno(errno, "send to the sandbox process");
}

void take_descriptors(msghdr& message, std::vector<UniqueFd>& out) {
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    for (std::size_t at = 0; at < header->cmsg_len - CMSG_LEN(0); at += sizeof(int)) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(header) + at, sizeof fd);
      out.emplace_back(fd);
    }
  }
  if ((message.msg_flags & (MSG_CTRUNC | MSG_TRUNC)) != 0)
    throw Error(ErrorCode::io, "too many open files to take a step's descriptors");
}

UniqueFd memfd_of(std::string_view data) {
  UniqueFd fd(::memfd_create("cbuild-step", MFD_CLOEXEC));
  if (!fd) throw_errno(errno, "memfd_create");
  sys::write_all(fd.get(), data);
  return fd;
}

std::string read_memfd(int fd) {
  const auto size = static_cast<std::size_t>(sys::stat_fd(fd).st_size);
  std::string data(size, '\0');
  for (std::size_t at = 0; at < size;) {
    const ssize_t got = ::pread(fd, data.data() + at, size - at, static_cast<off_t>(at));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) throw_errno(got < 0 ? errno : EIO, "read memfd");
    at += static_cast<std::size_t>(got);
  }
  return data;
}

}  // namespace

std::pair<PacketSocket, PacketSocket> PacketSocket::pair() {
  int fds[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0) throw_errno(errno, "socketpair");
  return {PacketSocket(UniqueFd(fds[0])), PacketSocket(UniqueFd(fds[1]))};
}

void PacketSocket::send(std::string_view data, std::span<const int> descriptors) {
  const bool large = data.size() > kMaxInline;
  const std::size_t last = kMaxDescriptors - (large ? 1 : 0);
  while (descriptors.size() > last) {
    send_message(fd_.get(), Kind::more_descriptors, {}, descriptors.first(kMaxDescriptors - 1));
    descriptors = descriptors.subspan(kMaxDescriptors - 1);
  }
  if (!large) return send_message(fd_.get(), Kind::inline_data, data, descriptors);
  const UniqueFd memfd = memfd_of(data);
  std::vector<int> all(descriptors.begin(), descriptors.end());
  all.push_back(memfd.get());
  send_message(fd_.get(), Kind::data_in_memfd, {}, all);
}

std::optional<Packet> PacketSocket::receive() {
  Packet packet;
  std::string buffer(kMaxInline + 1, '\0');
  alignas(cmsghdr) char control[CMSG_SPACE(kMaxDescriptors * sizeof(int))];
  for (;;) {
    iovec part{buffer.data(), buffer.size()};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    const ssize_t got = ::recvmsg(fd_.get(), &message, MSG_CMSG_CLOEXEC);
    if (got < 0 && errno == EINTR) continue;
    if (got == 0 || (got < 0 && errno == ECONNRESET)) return std::nullopt;
    if (got < 0) throw_errno(errno, "receive from the sandbox process");
    take_descriptors(message, packet.descriptors);
    const auto kind = static_cast<Kind>(buffer[0]);
    if (kind == Kind::more_descriptors) continue;
    if (kind == Kind::inline_data) {
      packet.data.assign(buffer, 1, static_cast<std::size_t>(got) - 1);
      return packet;
    }
    if (kind != Kind::data_in_memfd || packet.descriptors.empty())
      throw Error(ErrorCode::internal, "unknown message between builder and sandbox process");
    packet.data = read_memfd(packet.descriptors.back().get());
    packet.descriptors.pop_back();
    return packet;
  }
}

void PacketSocket::shut_down() noexcept {
  if (fd_) ::shutdown(fd_.get(), SHUT_RDWR);
}

}  // namespace cbuild::sandbox
