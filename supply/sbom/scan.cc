// SPDX-License-Identifier: Apache-2.0
// One walk over the image: databases of system packages have fixed places, all else is known by the name of its file.
#include "supply/sbom/scan.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "supply/sbom/go_binary.h"
#include "supply/sbom/lock_files.h"
#include "supply/sbom/rpm_database.h"
#include "supply/sbom/system_packages.h"

namespace cbuild::supply {
namespace {

constexpr std::size_t kLargestText = 64u << 20, kLargestDatabase = 512u << 20;
constexpr std::size_t kMostScanned = 5'000'000, kMostFound = 500'000, kDeepestDirectory = 64;

class Scan {
 public:
  Scan(FileTree& files, const std::function<void()>& check) : files_(files), check_(check) {}

  ScanResult run() {
    for (const char* path : {"etc/os-release", "usr/lib/os-release"}) {
      if (!distribution_.id.empty()) break;
      if (const auto text = files_.read(path, kLargestText)) distribution_ = parse_os_release(*text);
    }
    system_packages();
    walk("", 0);
    std::vector<Package>& packages = out_.packages;
    std::sort(packages.begin(), packages.end());
    packages.erase(std::unique(packages.begin(), packages.end()), packages.end());
    return std::move(out_);
  }

 private:
  void add(std::vector<Package> found, const std::string& path) {
    for (Package& package : found) {
      if (out_.packages.size() >= kMostFound) return note(cat(path, ": too many packages"));
      package.path = path;
      out_.packages.push_back(std::move(package));
    }
  }
  void note(std::string text) {
    constexpr std::size_t kMostNotes = 20;
    if (out_.notes.size() < kMostNotes) out_.notes.push_back(std::move(text));
  }

  void system_packages() {
    if (const auto text = files_.read("var/lib/dpkg/status", kLargestText))
      add(parse_dpkg_status(*text, distribution_), "var/lib/dpkg/status");
    for (const FileTree::Entry& entry : list("var/lib/dpkg/status.d")) {
      const std::string path = cat("var/lib/dpkg/status.d/", entry.name);
      if (!entry.is_file || entry.name.ends_with(".md5sums")) continue;
      if (const auto text = files_.read(path, kLargestText)) add(parse_dpkg_status(*text, distribution_), path);
    }
    for (const char* path : {"lib/apk/db/installed", "usr/lib/apk/db/installed"})
      if (const auto text = files_.read(path, kLargestText)) {
        add(parse_apk_database(*text, distribution_), path);
        break;  // one may be a link to the other
      }
    rpm_packages();
  }

  void rpm_packages() {
    for (const char* directory : {"usr/lib/sysimage/rpm", "var/lib/rpm"}) {
      const std::string path = cat(directory, "/rpmdb.sqlite");
      if (const auto file = files_.read(path, kLargestDatabase)) {
        try {
          add(parse_rpm_database(*file, distribution_), path);
        } catch (const Error& error) {
          note(cat(path, ": ", error.message()));
        }
        return;
      }
      for (const char* name : {"Packages", "Packages.db"})
        if (files_.read(cat(directory, "/", name), kLargestDatabase))
          note(cat(directory, "/", name, ": only rpm's SQLite database is read"));
    }
  }

  std::vector<FileTree::Entry> list(const std::string& directory) {
    try {
      return files_.list(directory);
    } catch (const Error& error) {
      if (error.code() == ErrorCode::cancelled) throw;
      return {};  // it is missing, or not a directory
    }
  }

  void walk(const std::string& directory, std::size_t depth) {
    if (depth > kDeepestDirectory) return note(cat(directory, ": too deep"));
    if (check_) check_();
    for (const FileTree::Entry& entry : list(directory)) {
      if (++entries_ > kMostScanned) return note("too many files: the rest was not read");
      const std::string path = child_path(directory, entry.name);
      if (entry.is_directory && !is_left_out(path)) walk(path, depth + 1);
      if (entry.is_file) visit(path, directory, entry);
    }
  }

  /// Contents of the kernel, if a layer has them by mistake.
  static bool is_left_out(const std::string& path) { return path == "proc" || path == "sys" || path == "dev"; }

  void visit(const std::string& path, const std::string& directory, const FileTree::Entry& entry) {
    const bool installed = directory.ends_with(".dist-info") && entry.name == "METADATA";
    const LockFile* lock = find_lock_file(entry.name);
    if (lock == nullptr && !installed) return program(path, entry);
    const auto text = entry.size <= kLargestText ? files_.read(path, kLargestText) : std::nullopt;
    if (!text) return note(cat(path, ": larger than ", format_size(kLargestText)));
    add(installed ? parse_python_metadata(*text) : lock->parse(*text), path);
  }

  void program(const std::string& path, const FileTree::Entry& entry) {
    if (!entry.is_executable) return;
    files_.with_parts(path, [&](const ReadPart& read) { add(parse_go_binary(read), path); });
  }

  FileTree& files_;
  const std::function<void()>& check_;
  Distribution distribution_;
  std::size_t entries_ = 0;
  ScanResult out_;
};

}  // namespace

ScanResult scan_packages(FileTree& files, const std::function<void()>& check) { return Scan(files, check).run(); }

}  // namespace cbuild::supply
