// SPDX-License-Identifier: Apache-2.0
// Shared by the files of the store (store_*.cc, staging.cc, blob_files.cc, gc/): the open directories, the index, the
// lease, and the rows that this process has seen, which can be written again when the index is replaced in the middle
// of a build.
#pragma once

#include <array>
#include <atomic>
#include <mutex>
#include <string>
#include <unordered_set>
#include <vector>

#include "cache/database/index.h"
#include "cache/database/lease.h"
#include "cache/store.h"
#include "cache/store_memory.h"

namespace cbuild::cache {

/// Directories below the root, in the order of Store::Impl::dir().
enum class Dir : unsigned { tmp, locks, snapshots, blobs, flats, mounts, scans };
inline constexpr std::size_t kDirs = 7;

/// The store's blobs: blobs/sha256/<hex>. A blob exists when the index has a row for it; a file without a row
/// is taken in after its digest was verified.
/// A blob that is being written, and a descriptor to read it by from the beginning on.
struct ReadableBlob {
  std::unique_ptr<oci::BlobWriter> writer;
  UniqueFd file;
};

class BlobFiles final : public oci::BlobStore {
 public:
  explicit BlobFiles(Store::Impl& store) : store_(store) {}
  std::optional<std::uint64_t> size(const Digest& digest) override;
  UniqueFd open(const Digest& digest) override;
  std::unique_ptr<oci::BlobWriter> create() override;
  ReadableBlob create_readable();

 private:
  bool adopt(const Digest& digest);
  Store::Impl& store_;
};

struct Store::Impl {
  explicit Impl(const StoreOptions& options);
  ~Impl();

  /// Descriptor of a directory below the root, opened (and made) on first use.
  int dir(Dir which);
  /// "<lease>.<n>": a name in tmp/ that a clean-up knows to be ours.
  std::string temp_name();

  /// Pins and then looks whether the thing is there and not doomed.
  bool hold(Pinned kind, const Digest& id);
  /// Pins without looking, for an item that is about to be made; confirm it to the lease when it is.
  Pin pin(Pinned kind, const Digest& id);

  void touch_chain(const Digest& chain, std::int64_t recorded_ns);
  void flush_touched() noexcept;

  /// Throws Error{missing_content}: `what` was here and is not any more, and nothing points to it now.
  [[noreturn]] void report_missing(const std::string& what);
  void forget_tree(const Digest& layer);
  /// Whether a layer's tree, in either form, is there and of use to this process.
  bool tree_stands(const Digest& layer);
  /// Whether this process takes layers in mounted form at all; `can_mount_layers` asks the kernel, too, once.
  bool may_mount_layers() const { return may_mount_; }
  bool mounts_every_layer() const { return mounts_every_; }
  bool can_mount_layers();
  void forget_missing_trees();
  /// With its chains and records.
  void forget_layer(const Digest& layer);
  void forget_blob(const Digest& blob);
  /// The layer that snapshots/<id> says it is, for an index that was lost. nullopt if there is none that can be
  /// trusted.
  std::optional<Layer> adoptable(const Digest& layer);
  /// Brings back rows that this process has seen and that an index replaced meanwhile has lost; `db` is
  /// inside a transaction.
  bool restore_layer(Database& db, const Digest& layer);
  void restore_chain(Database& db, const Digest& chain);
  void remember(const Chain& chain);
  /// Inside a transaction: moves a staged tree (its name in tmp/) to its layer's place and records it; a layer that
  /// has a tree keeps it. `moved` says that the rename is done: it outlives a transaction that breaks with the index
  /// and is tried again on a fresh one.
  void record_tree(Database& db, const Layer& layer, const std::string& staged, bool& moved);
  /// Records a layer that is only a blob.
  void record_packed(Database& db, const Layer& layer);
  Chain record_chain(Database& db, const Chain& chain);
  Chain add_tree_on(const Digest& parent, Layer layer, Staging staging, const Digest& identity);
  Chain add_packed_on(const Digest& parent, Layer layer, const Digest& identity);
  /// Records a layer by `record`, inside the transaction, and the chain that it makes of `parent`.
  Chain add_on(const Digest& parent, const Digest& layer, const Digest& identity,
               const std::function<void(Database&)>& record);

  /// Something in tmp/ that nobody needs any more; remove_leftovers() takes it away.
  void remove_later(std::string temp_name);
  void remove_leftovers() noexcept;

  std::vector<Digest> layers_of(const Digest& chain);
  /// Nothing that this process remembers of a layer or of chains counts any more.
  void forget_memory(const Digest& layer);

  /// The staging directory's name in tmp/.
  static const std::string& name_of(const Staging& staging);

  std::string root;
  UniqueFd root_fd;
  bool user_xattr = false, owners_apart = false, makes_room = false;
  std::vector<std::string> notes;
  Index index;
  Lease lease;
  BlobFiles blobs;
  MissingLayers missing;
  OpenLayers open_layers;

 private:
  KnownChains chains_;
  // Neither is held around a use of the index, whose transactions take both.
  std::mutex mutex_;  // guards touched_ and leftovers_
  bool may_mount_ = false, mounts_every_ = false, can_mount_ = false;
  std::once_flag mount_probed_;  // guards can_mount_
  std::mutex dirs_mutex_;        // guards the opening of dirs_ alone
  std::array<std::atomic<int>, kDirs> dirs_;
  std::atomic<unsigned> counter_{0};
  std::unordered_set<Digest> touched_;
  std::vector<std::string> leftovers_;  ///< names in tmp/
};

struct Staging::Impl {
  Store::Impl* store = nullptr;
  std::string name;  ///< in tmp/
  UniqueFd tree, work;
  std::unique_ptr<SideRecorder> side;  ///< null where every entry can be what it ought to be
  bool armed = true;

  std::string work_name() const;
  /// Writes kMeta next to the tree, the last thing before it is published; the staging directory's name.
  const std::string& seal(const Layer& layer) const;
  /// After the tree was moved to its place.
  void release();
  ~Impl();
};

// Shared by the files of the store.

/// Columns of one layer, in the order read_layer() wants them; FROM layers l LEFT JOIN blobs b.
inline constexpr char kLayerColumns[] =
    "l.id, l.diff_id, l.media_type, l.blob, l.blob_size, l.blob_extra, l.fetch_from, l.has_tree, "
    "l.disk_bytes, l.description,"
    " b.digest IS NOT NULL, l.created_ns";
Layer read_layer(const Query& query);

Digest chain_digest(const Digest& parent, const Digest& layer);  ///< Chain::id, if no other has these layers
std::string snapshot_name(const Digest& layer);                  ///< "<hex>"
/// Where in tmp/ a snapshot goes that a staged tree takes the place of.
std::string replaced_name(const std::string& staged);
/// The file next to a snapshot's tree that lets it be taken over by a fresh index: in the boot that it names, and in
/// every later one under the name that it gets when it is synced.
inline constexpr char kMeta[] = "meta", kSyncedMeta[] = "synced";
/// Begins with the boot id.
std::string encode_meta(const Layer& layer);
std::optional<Layer> decode_meta(const std::vector<std::string>& texts);

/// Writes index.json to name what the images table names, so that other tools can read the store as a layout.
void write_layout(Store::Impl& store);

/// Takes the names in index.json into a fresh index. Entries that cannot be read are left out.
void adopt_images(Database& db, const std::string& root);

/// An environment variable, empty if it is not set.
std::string environment(const char* name);

}  // namespace cbuild::cache
