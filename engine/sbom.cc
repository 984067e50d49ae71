// SPDX-License-Identifier: Apache-2.0
#include "engine/sbom.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <span>

#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"
#include "cache/unpacker.h"
#include "exporter/files_tar.h"
#include "supply/sbom/scan.h"
#include "supply/sbom/spdx.h"

namespace cbuild::engine {
namespace {

/// The merged files of layers, for a scan.
class ViewFiles final : public supply::FileTree {
 public:
  explicit ViewFiles(const cache::TreeView& view) : view_(view) {}

  std::vector<Entry> list(const std::string& directory) override {
    std::vector<Entry> out;
    for (const cache::TreeView::Entry& entry : view_.list(directory)) {
      const mode_t mode = entry.st.st_mode;
      out.push_back(
          {entry.name, S_ISDIR(mode), S_ISREG(mode), (mode & 0111) != 0, static_cast<std::uint64_t>(entry.st.st_size)});
    }
    return out;
  }

  std::optional<std::string> read(const std::string& path, std::size_t limit) override {
    try {
      return view_.read_file(path, limit);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::input) throw;
      return std::nullopt;  // larger, or a loop of links
    }
  }

  void with_parts(
      const std::string& path,
      const std::function<void(const std::function<std::string(std::uint64_t, std::size_t)>&)>& use) override {
    const UniqueFd file = view_.open(path, O_RDONLY | O_NONBLOCK);
    use([&](std::uint64_t offset, std::size_t size) {
      std::string out(size, '\0');
      out.resize(sys::pread_all(file.get(), std::as_writable_bytes(std::span(out)), offset));
      return out;
    });
  }

 private:
  const cache::TreeView& view_;
};

}  // namespace

std::string scan_target(Services& services, const ScanTarget& target) {
  if (!target.chain.empty())
    cache::materialize(services.store, target.chain, services.remote.fetcher(), &services.cancel, nullptr);
  const cache::TreeView view = exporter::open_rootfs(services.store, target.chain);
  ViewFiles files(view);
  const supply::ScanResult found = supply::scan_packages(files, [&] { services.cancel.check(); });
  for (const std::string& note : found.notes)
    services.progress.on_event(RunNote{Severity::warning, cat("SBOM: ", sanitize_for_terminal(note))});
  return supply::to_spdx({target.name, cat("cbuild-", CBUILD_VERSION), target.created_s}, found.packages);
}

}  // namespace cbuild::engine
