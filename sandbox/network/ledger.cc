// SPDX-License-Identifier: Apache-2.0
#include "sandbox/network/ledger.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <filesystem>

#include "base/error.h"
#include "base/random.h"
#include "base/sys.h"
#include "base/text.h"

namespace cbuild::sandbox::network {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxLedger = 4u << 20;
constexpr const char* kSuffix = ".ledger";

/// The time the process began, in the kernel's ticks; empty if there is none.
std::string start_of(pid_t pid) {
  const auto fd = sys::try_open_at(AT_FDCWD, cat("/proc/", pid, "/stat"), O_RDONLY);
  if (!fd) return {};
  const std::string text = sys::read_all(fd->get(), 4096);
  const std::size_t name_end = text.rfind(')');
  if (name_end == std::string::npos) return {};
  const std::vector<std::string> fields = split(text.substr(name_end + 1), ' ');
  constexpr std::size_t kStart = 20;
  return fields.size() > kStart ? fields[kStart] : std::string();
}

void sweep_one(const fs::path& path, const std::function<void(const std::string&)>& remove) {
  const auto file = sys::try_open_at(AT_FDCWD, path.string(), O_RDWR | O_NOFOLLOW);
  if (!file || ::flock(file->get(), LOCK_EX | LOCK_NB) != 0) return;
  std::vector<std::string> entries = split(sys::read_all(file->get(), kMaxLedger), '\n');
  for (auto entry = entries.rbegin(); entry != entries.rend(); ++entry)
    if (!entry->empty()) remove(*entry);
  std::error_code ignored;
  for (const auto& other : fs::directory_iterator(path.parent_path(), ignored))
    if (other.path().filename().string().starts_with(cat(path.stem().string(), "-"))) fs::remove(other, ignored);
  fs::remove(path, ignored);
}

}  // namespace

Ledger::Ledger(const std::string& directory) {
  fs::create_directories(directory);
  for (;;) {
    path_ = cat(directory, "/", random_hex(), kSuffix);
    file_ = sys::open_at(AT_FDCWD, path_, O_RDWR | O_CREAT | O_EXCL | O_APPEND, 0600);
    if (::flock(file_.get(), LOCK_EX) != 0) throw_errno(errno, cat("lock ", path_));
    // A sweep may have come between the two.
    if (struct stat st{}; ::stat(path_.c_str(), &st) == 0) return;
  }
}

Ledger::~Ledger() { ::unlink(path_.c_str()); }

void Ledger::add(const std::string& entry) {
  const std::lock_guard lock(mutex_);
  sys::write_all(file_.get(), cat(entry, "\n"));
}

std::string Ledger::sibling(const std::string& name) const {
  return cat(path_.substr(0, path_.size() - std::string_view(kSuffix).size()), "-", name);
}

void sweep_ledgers(const std::string& directory, const std::function<void(const std::string&)>& remove) {
  std::error_code none;
  std::vector<fs::path> ledgers;
  for (const auto& entry : fs::directory_iterator(directory, none))
    if (entry.path().extension() == kSuffix) ledgers.push_back(entry.path());
  for (const fs::path& path : ledgers) {
    try {
      sweep_one(path, remove);
    } catch (const std::exception&) {
      continue;
    }
  }
}

std::string process_entry(pid_t pid) { return cat("process ", pid, " ", start_of(pid)); }

bool end_process(const std::string& entry) {
  const std::vector<std::string> words = split(entry, ' ');
  if (words.size() != 3 || words[0] != "process") return false;
  const auto pid = parse_int(words[1]);
  if (!pid || *pid <= 1 || words[2].empty() || start_of(static_cast<pid_t>(*pid)) != words[2]) return true;
  ::kill(static_cast<pid_t>(*pid), SIGKILL);
  return true;
}

}  // namespace cbuild::sandbox::network
