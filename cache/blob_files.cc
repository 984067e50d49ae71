// SPDX-License-Identifier: Apache-2.0
// The store's blobs: files named by their digest, hashed while they are written. A file gets its name and its row in
// one transaction; clean-ups take the same lock, so they never see the one without the other. A file without a row (the
// index was lost) is adopted once its digest is verified; a row whose file is cut off or gone is forgotten and reported
// as missing content. Kernel writeback is started early, which shortens the sync at the end of a build.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"
#include "base/writeback.h"
#include "cache/database/schema.h"
#include "cache/store_impl.h"

namespace cbuild::cache {

namespace {

constexpr std::uint64_t kWriteback = 16u << 20;

/// Records a blob and gives it its name in one transaction: a clean-up, which holds the same lock, never sees
/// the file without the row. `staged` empty: the file lies in its place already.
void record_blob(Store::Impl& store, const Digest& digest, std::uint64_t size, const std::string& staged) {
  const Pin pin = store.pin(Pinned::blob, digest);
  const int tmp = store.dir(Dir::tmp), blobs = store.dir(Dir::blobs);
  store.index.write([&](Database& db) {
    const std::int64_t now = sys::now_ns();
    db.run(
        "INSERT INTO blobs(digest, size, created_ns, last_used_ns) VALUES(?1, ?2, ?3, ?3)"
        " ON CONFLICT(digest) DO UPDATE SET size = ?2, last_used_ns = ?3, doomed = 0",
        digest, size, now);
    mark_volatile(db, Kind::blob, digest);
    if (!staged.empty()) sys::rename_at(tmp, staged, blobs, digest.hex());
  });
  store.lease.confirm(pin);
}

class Writer final : public oci::BlobWriter {
 public:
  explicit Writer(Store::Impl& store) : store_(store), name_(store.temp_name() + ".blob") {
    file_ = sys::open_at(store_.dir(Dir::tmp), name_, O_WRONLY | O_CREAT | O_EXCL, 0644);
  }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;
  ~Writer() override {
    if (!name_.empty()) ::unlinkat(store_.dir(Dir::tmp), name_.c_str(), 0);
  }

  UniqueFd open_again() const { return sys::open_at(store_.dir(Dir::tmp), name_, O_RDONLY); }

  void write(std::span<const std::byte> data) override {
    hash_.update(data);
    sys::write_all(file_.get(), {reinterpret_cast<const char*>(data.data()), data.size()});
    size_ += data.size();
    if (size_ - written_back_ < kWriteback) return;
    sys::start_writeback(file_.get(), static_cast<off_t>(written_back_), static_cast<off_t>(size_ - written_back_));
    written_back_ = size_;
  }

  Digest commit(const Digest& expected, std::optional<std::uint64_t> expected_size) override {
    const Digest digest = hash_.finish();
    oci::check_written(digest, size_, expected, expected_size);
    file_.close_checked();
    record_blob(store_, digest, size_, name_);
    name_.clear();
    return digest;
  }

 private:
  Store::Impl& store_;
  std::string name_;
  UniqueFd file_;
  Sha256 hash_;
  std::uint64_t size_ = 0, written_back_ = 0;
};

std::optional<std::uint64_t> recorded_size(Store::Impl& store, const Digest& digest) {
  return store.index.read([&](Database& db) -> std::optional<std::uint64_t> {
    Query query = db.query("SELECT size FROM blobs WHERE digest = ?", digest);
    if (!query.next()) return std::nullopt;
    return static_cast<std::uint64_t>(query.integer(0));
  });
}

}  // namespace

std::optional<std::uint64_t> BlobFiles::size(const Digest& digest) {
  const auto size = recorded_size(store_, digest);
  if (size && store_.hold(Pinned::blob, digest)) return size;
  if (size || !adopt(digest)) return std::nullopt;
  return recorded_size(store_, digest);
}

UniqueFd BlobFiles::open(const Digest& digest) {
  if (const auto expected = size(digest)) {
    auto file = sys::try_open_at(store_.dir(Dir::blobs), digest.hex(), O_RDONLY);
    if (file && static_cast<std::uint64_t>(sys::stat_fd(file->get()).st_size) == *expected) return std::move(*file);
    store_.forget_blob(digest);
    store_.report_missing(cat("blob ", digest.str(), " was cut off or removed"));
  }
  throw Error(ErrorCode::not_found, cat("blob ", digest.str(), " is not in the store"));
}

std::unique_ptr<oci::BlobWriter> BlobFiles::create() { return std::make_unique<Writer>(store_); }

ReadableBlob BlobFiles::create_readable() {
  auto writer = std::make_unique<Writer>(store_);
  UniqueFd file = writer->open_again();
  return {std::move(writer), std::move(file)};
}

// The index may have been lost, or its last rows with the power; the file says itself what it is.
bool BlobFiles::adopt(const Digest& digest) {
  const auto file = sys::try_open_at(store_.dir(Dir::blobs), digest.hex(), O_RDONLY);
  if (!file) return false;
  const auto size = static_cast<std::uint64_t>(sys::stat_fd(file->get()).st_size);
  if (sha256_fd(file->get()) != digest) return false;
  record_blob(store_, digest, size, {});
  return true;
}

void Store::Impl::forget_blob(const Digest& blob) {
  const int blobs_dir = dir(Dir::blobs), tmp = dir(Dir::tmp);
  const std::string aside = temp_name() + ".blob";
  index.write([&](Database& db) {
    db.run("DELETE FROM blobs WHERE digest = ?", blob);
    ::renameat(blobs_dir, blob.hex().c_str(), tmp, aside.c_str());
  });
  ::unlinkat(tmp, aside.c_str(), 0);
}

void Store::forget_blob(const Digest& digest) { impl_->forget_blob(digest); }

}  // namespace cbuild::cache
