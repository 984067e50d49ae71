// SPDX-License-Identifier: Apache-2.0
#include "api/session/file_stat.h"

#include <algorithm>
#include <climits>

#include "api/proto/files.pb.h"
#include "base/error.h"
#include "base/text.h"

namespace cbuild::api {
namespace {

// Go's os.FileMode.
constexpr std::uint32_t kDir = 1u << 31, kSymlink = 1u << 27, kDevice = 1u << 26, kFifo = 1u << 25, kSocket = 1u << 24,
                        kSetuid = 1u << 23, kSetgid = 1u << 22, kCharDevice = 1u << 21, kSticky = 1u << 20,
                        kIrregular = 1u << 19;
constexpr std::uint32_t kType = kDir | kSymlink | kDevice | kFifo | kSocket | kCharDevice | kIrregular;

struct TypeBits {
  std::uint32_t go;
  mode_t here;
};
constexpr TypeBits kTypes[] = {{0, S_IFREG},       {kDir, S_IFDIR},  {kSymlink, S_IFLNK},
                               {kDevice, S_IFBLK}, {kFifo, S_IFIFO}, {kDevice | kCharDevice, S_IFCHR},
                               {kSocket, S_IFSOCK}};
constexpr TypeBits kSpecial[] = {{kSetuid, S_ISUID}, {kSetgid, S_ISGID}, {kSticky, S_ISVTX}};

void check_path(const std::string& path) {
  const auto refuse = [&](std::string_view why) {
    throw Error(ErrorCode::input, cat("the path ", go_quote(path.substr(0, 300)), " from the client ", why));
  };
  if (path.empty()) refuse("is empty");
  if (path.size() >= PATH_MAX) refuse("is too long");
  if (path.find('\0') != std::string::npos) refuse("has a zero byte");
  if (path.starts_with('/')) refuse("is absolute");
  for (const std::string& part : split(path, '/')) {
    if (part.empty() || part == ".") refuse("is not clean");
    if (part == "..") refuse("leads out of the directory");
    if (part.size() > NAME_MAX) refuse("has a name that is too long");
  }
}

unsigned device_number(std::int64_t number) {
  if (number < 0 || number > UINT_MAX) throw Error(ErrorCode::input, cat("invalid device number ", number));
  return static_cast<unsigned>(number);
}

}  // namespace

mode_t mode_from_go(std::uint32_t mode) {
  const auto type = std::ranges::find(kTypes, mode & kType, &TypeBits::go);
  if (type == std::end(kTypes) || type->here == S_IFSOCK)
    throw Error(ErrorCode::input, cat("invalid file mode ", mode, " from the client"));
  mode_t result = type->here | (mode & 0777);
  for (const TypeBits& bit : kSpecial)
    if ((mode & bit.go) != 0) result |= bit.here;
  return result;
}

std::uint32_t mode_to_go(mode_t mode) {
  std::uint32_t result = std::ranges::find(kTypes, mode & S_IFMT, &TypeBits::here)->go | (mode & 0777);
  for (const TypeBits& bit : kSpecial)
    if ((mode & bit.here) != 0) result |= bit.go;
  return result;
}

FileStat from_message(const ::fsutil::types::Stat& message) {
  check_path(message.path());
  if (message.size() < 0)
    throw Error(ErrorCode::input,
                cat("the client says that ", go_quote(message.path()), " has ", message.size(), " bytes"));
  FileStat entry{message.path(),
                 mode_from_go(message.mode()),
                 message.uid(),
                 message.gid(),
                 static_cast<std::uint64_t>(message.size()),
                 message.mod_time(),
                 message.linkname(),
                 device_number(message.devmajor()),
                 device_number(message.devminor()),
                 {}};
  if (S_ISREG(entry.mode) && !entry.link.empty()) check_path(entry.link);
  for (const auto& [name, value] : message.xattrs()) entry.xattrs.push_back({name, value});
  std::ranges::sort(entry.xattrs);
  return entry;
}

void to_message(const FileStat& entry, ::fsutil::types::Stat& message) {
  message.set_path(entry.path);
  message.set_mode(mode_to_go(entry.mode));
  message.set_uid(entry.uid);
  message.set_gid(entry.gid);
  message.set_size(static_cast<std::int64_t>(entry.size));
  message.set_mod_time(entry.mtime_ns);
  message.set_linkname(entry.link);
  message.set_devmajor(entry.major);
  message.set_devminor(entry.minor);
  for (const sys::Xattr& xattr : entry.xattrs) (*message.mutable_xattrs())[xattr.name] = xattr.value;
}

}  // namespace cbuild::api
