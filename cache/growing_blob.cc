// SPDX-License-Identifier: Apache-2.0
#include "cache/growing_blob.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/error.h"
#include "cache/store_impl.h"

namespace cbuild::cache {

class GrowingBlob::Writer final : public oci::BlobWriter {
 public:
  Writer(GrowingBlob& blob, std::unique_ptr<oci::BlobWriter> inner) : blob_(blob), inner_(std::move(inner)) {}

  void write(std::span<const std::byte> data) override {
    if (blob_.cancel_ != nullptr) blob_.cancel_->check();
    inner_->write(data);
    const std::scoped_lock lock(blob_.mutex_);
    blob_.written_ += data.size();
    blob_.changed_.notify_all();
  }
  Digest commit(const Digest& expected, std::optional<std::uint64_t> size) override {
    const Digest digest = inner_->commit(expected, size);
    const std::scoped_lock lock(blob_.mutex_);
    blob_.committed_ = true;
    blob_.digest_ = digest;
    blob_.changed_.notify_all();
    return digest;
  }

 private:
  GrowingBlob& blob_;
  std::unique_ptr<oci::BlobWriter> inner_;
};

GrowingBlob::~GrowingBlob() = default;

std::unique_ptr<oci::BlobWriter> GrowingBlob::create() {
  ReadableBlob made = store_.impl().blobs.create_readable();
  const std::scoped_lock lock(mutex_);
  ++begun_;
  changed_.notify_all();
  if (begun_ > 1) return std::move(made.writer);
  file_ = std::move(made.file);
  return std::make_unique<Writer>(*this, std::move(made.writer));
}

void GrowingBlob::end() noexcept {
  const std::scoped_lock lock(mutex_);
  ended_ = true;
  changed_.notify_all();
}

std::size_t GrowingBlob::read(std::span<std::byte> room) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return begun_ > 1 || ended_ || committed_ || written_ > read_; });
  if (is_broken()) throw Error(ErrorCode::network, "the transfer broke off");
  const std::size_t wanted = std::min<std::uint64_t>(room.size(), written_ - read_);
  lock.unlock();
  const ssize_t got = wanted == 0 ? 0 : ::pread(file_.get(), room.data(), wanted, static_cast<off_t>(read_));
  if (got < 0) throw_errno(errno, "read of a blob that is being written");
  read_ += static_cast<std::uint64_t>(got);
  return static_cast<std::size_t>(got);
}

GrowingBlob::State GrowingBlob::wait_for(std::uint64_t wanted) const {
  std::unique_lock lock(mutex_);
  const auto is_over = [this] { return begun_ > 1 || ended_ || committed_; };
  changed_.wait(lock, [&] { return is_over() || written_ >= wanted; });
  return {written_, is_over(), committed_ && begun_ == 1 ? digest_ : Digest{}};
}

int GrowingBlob::file() const {
  const std::scoped_lock lock(mutex_);
  return file_ ? file_.get() : -1;
}

bool GrowingBlob::was_whole() const {
  const std::scoped_lock lock(mutex_);
  return begun_ == 1 && committed_;
}

}  // namespace cbuild::cache
