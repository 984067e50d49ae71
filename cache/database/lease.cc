// SPDX-License-Identifier: Apache-2.0
#include "cache/database/lease.h"

#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "base/random.h"
#include "base/sys.h"
#include "base/text.h"

namespace cbuild::cache {

namespace {

constexpr char kDirectory[] = "leases/";
constexpr std::size_t kHeader = 16;  ///< the generation
constexpr std::size_t kPin = 1 + 32;
constexpr std::size_t kMaxLease = 1u << 30;

bool still_linked(int fd) { return sys::stat_fd(fd).st_nlink > 0; }

void parse_lease(std::string_view text, const std::string& generation, LiveLeases& out) {
  if (text.size() < kHeader) return;  // its process has pinned nothing yet
  if (text.substr(0, kHeader) != generation) out.foreign_index = true;
  for (text.remove_prefix(kHeader); text.size() >= kPin; text.remove_prefix(kPin)) {
    Pin pin{static_cast<Pinned>(text[0]), {}};
    std::memcpy(pin.second.bytes.data(), text.data() + 1, pin.second.bytes.size());
    out.pins.insert(pin);
  }
}

}  // namespace

Lease::~Lease() {
  if (file_) ::unlinkat(root_fd_, (kDirectory + name_).c_str(), 0);
}

std::string Lease::name() {
  std::scoped_lock lock(mutex_);
  ensure_file();
  return name_;
}

bool Lease::holds(const Pin& pin) {
  std::scoped_lock lock(mutex_);
  return confirmed_.contains(pin);
}

void Lease::confirm(const Pin& pin) {
  std::scoped_lock lock(mutex_);
  confirmed_.insert(pin);
}

void Lease::forget(const Pin& pin) {
  std::scoped_lock lock(mutex_);
  confirmed_.erase(pin);
}

void Lease::pin(const Pin& pin) {
  std::string text(1, static_cast<char>(pin.first));
  text.append(reinterpret_cast<const char*>(pin.second.bytes.data()), pin.second.bytes.size());
  std::scoped_lock lock(mutex_);
  if (gc_blocked_) return;
  try {
    ensure_file();
    sys::write_all(file_.get(), text);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::no_space) throw;
    // A cached build must work on a full disk. Items that cannot be pinned one by one are protected by keeping gc out.
    gc_blocked_ = FileLock::wait(root_fd_, "locks/gc", FileLock::Mode::shared);
  }
}

// A clean-up may take the file for a dead one between its creation and the lock; then it is made again.
void Lease::ensure_file() {
  while (!file_) {
    name_ = cat(::getpid(), '-', random_hex());
    const std::string path = kDirectory + name_;
    auto file = sys::try_open_at(root_fd_, path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND, 0600);
    if (!file) {
      sys::mkdir_all(root_fd_, "leases", 0700);
      file = sys::open_at(root_fd_, path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND, 0600);
    }
    if (::flock(file->get(), LOCK_EX | LOCK_NB) != 0 || !still_linked(file->get())) continue;
    sys::write_all(file->get(), generation_);
    file_ = std::move(*file);
  }
}

LiveLeases read_leases(int root_fd, const std::string& generation) {
  LiveLeases out;
  const auto directory = sys::try_open_at(root_fd, "leases", O_RDONLY | O_DIRECTORY);
  if (!directory) return out;
  for (const std::string& name : sys::list_dir(directory->get())) {
    const auto file = sys::try_open_at(directory->get(), name, O_RDONLY);
    if (!file) continue;
    if (::flock(file->get(), LOCK_EX | LOCK_NB) == 0) {
      sys::unlink_at(directory->get(), name);
      continue;
    }
    out.names.insert(name);
    parse_lease(sys::read_all(file->get(), kMaxLease), generation, out);
  }
  return out;
}

}  // namespace cbuild::cache
