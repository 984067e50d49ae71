// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/digest.h"
#include "base/fd.h"
#include "base/files.h"
#include "base/side/side_metadata.h"
#include "oci/blob_store.h"
#include "oci/descriptor.h"
#include "solver/graph/key_part.h"

/// The store on disk, $CBUILD_ROOT: layers and chains of them, the records that say which chain a key gave, blobs,
/// cache mounts, images by name, the history of builds. Any number of processes share one: whatever a handle has found
/// stays until the handle ends (lease.h). See docs/architecture.md, "The store".
namespace cbuild::cache {

/// One layer: a directory of changes (snapshots/<id>/fs), or only a blob that was not unpacked yet, or both.
struct Layer {
  Digest id;                            ///< random if it was made here, the diff id if it came with an image
  Digest diff_id;                       ///< empty while not packed
  std::optional<oci::Descriptor> blob;  ///< the encoding to export; present in the blob store only if has_blob
  std::string fetch_from;               ///< locator of an image that holds the blob; empty if made here
  bool has_tree = false, has_blob = false;
  std::uint64_t disk_bytes = 0;  ///< real blocks of the tree
  std::string description;
  std::int64_t created_ns = 0;  ///< when the tree was made here; add_tree() sets it if it is 0

  bool operator==(const Layer&) const = default;
};

/// A stack of layers: `id` = H(parent, layer). The empty digest is the empty root.
struct Chain {
  Digest id, parent, layer;
  Digest identity;  ///< used in the keys of readers; equal for equal content
  std::uint32_t depth = 0;

  bool operator==(const Chain&) const = default;
};

using solver::KeyPart;

/// The result of a key.
struct Record {
  Digest key, definition_key;
  Digest chain;
  std::int64_t created_ns = 0, duration_ns = 0, last_used_ns = 0;
  std::string step_name;
  std::vector<KeyPart> parts;
};

/// An image kept under a name.
struct Image {
  std::string name;  ///< Reference::str()
  Digest manifest;
  std::int64_t created_ns = 0;
};

struct StoreOptions {
  std::string root;         ///< empty: $CBUILD_ROOT or the default of the user
  bool user_xattr = false;  ///< overlay xattrs are user.*: the store of an unprivileged user
  /// Trees have side metadata (base/side/side_metadata.h): this process cannot give files away.
  bool owners_apart = false;
  bool makes_room = false;  ///< opened to remove something: on a full disk the reserve is given up for it
};

/// A directory under construction: tmp/<random>, removed unless published.
class Staging;
class LayerDir;

/// Thread-safe handle. Opening costs the same whatever the store holds; no thread is started, nothing is
/// scanned.
class Store {
 public:
  explicit Store(const StoreOptions& options);
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  const std::string& root() const;
  int root_fd() const;
  /// StoreOptions::owners_apart.
  bool owners_apart() const;
  /// The directory of the tables of cache/content/local_tree; made on first use.
  int scans_fd();
  oci::BlobStore& blobs();
  /// One line for each broken part that was put aside or rebuilt while opening.
  const std::vector<std::string>& notes() const;

  // Layers and chains.
  std::optional<Layer> layer(const Digest& id);
  std::optional<Layer> layer_by_diff_id(const Digest& diff_id);
  /// Makes a layer known that exists only as a blob somewhere (a base image's). Idempotent.
  void add_lazy_layer(const Layer& layer);
  /// Publishes a finished tree: renames it to snapshots/<id>/fs, then records it.
  void add_tree(Layer layer, Staging staging);
  /// Records the result of packing a layer; the blob is already in blobs().
  void set_packed(const Digest& layer, const Digest& diff_id, const oci::Descriptor& blob);
  /// The chain of `layer` on `parent` (empty: on nothing); made if it is not known yet.
  Chain extend(const Digest& parent, const Digest& layer, const Digest& identity);
  std::optional<Chain> chain(const Digest& id);
  /// Layers of a chain, bottom first.
  std::vector<Digest> chain_layers(const Digest& id);
  /// O_PATH|O_DIRECTORY descriptor of a layer's tree. Throws Error{corrupt} when the directory is gone. Everything that
  /// depended on it has been forgotten then, so that a rebuild works.
  UniqueFd open_tree(const Digest& layer);
  /// The same tree, shared by everybody in this process that reads it.
  std::shared_ptr<const LayerDir> layer_dir(const Digest& layer);
  std::string tree_path(const Digest& layer) const;
  /// Drops a blob whose content turned out to be wrong; the next use has to bring it again.
  void forget_blob(const Digest& digest);
  Staging stage(const std::string& purpose);

  // Records.
  std::optional<Record> find(const Digest& key);
  void publish(const Record& record);
  /// When gc last took the result of `key`: for explaining a miss.
  std::optional<std::int64_t> evicted_at_ns(const Digest& key);

  // Exclusive work across processes, by name; dies with the process.
  std::optional<FileLock> try_lock(const std::string& name);
  std::optional<FileLock> wait_lock(const std::string& name, const std::function<bool()>& cancelled);

  // Memo of content digests of immutable trees: (chain or layer, canonical selector) -> digest.
  std::optional<Digest> memo(const Digest& chain, const Digest& selector);
  void set_memo(const Digest& chain, const Digest& selector, const Digest& digest);

  // Images by name.
  std::optional<Image> image(const std::string& name);
  void set_image(const Image& image);
  std::vector<Image> images();
  bool remove_image(const std::string& name);

  /// Everything this process found, made or opened stays until the handle dies: shared flock on
  /// leases/<pid>-<random>, and its items in the index. gc of other processes skips them.
  void pin_chain(const Digest& chain);

  /// Cache mounts: a directory that lives on between builds (mounts/<hex>/data). `exclusive` for locked and
  /// private ones.
  struct CacheMountDir {
    UniqueFd dir;
    std::optional<FileLock> lock;
    bool fresh = false;
    std::string path;
  };
  /// `populate` fills a fresh one before anybody else can see it.
  std::optional<CacheMountDir> try_cache_mount(const std::string& id, const Digest& base, int sharing_mode,
                                               unsigned instance,
                                               const std::function<void(int dirfd)>& populate = nullptr);

  /// Makes everything this process recorded survive a power loss: one syncfs and one mark. Called once at the
  /// end of a build.
  void make_durable();

  // Build history.
  struct BuildSummary {
    std::string id, name, status, dockerfile, target;
    std::int64_t started_ns = 0, finished_ns = 0;
    unsigned steps_total = 0, steps_cached = 0;
    std::string detail_json;  ///< steps with key parts, reasons, times; written by cli, read by explain and history
  };
  void add_build(const BuildSummary& summary);
  std::vector<BuildSummary> builds(unsigned limit);

  struct Impl;
  Impl& impl() { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

class Staging {
 public:
  /// tmp/<name>/fs: the tree itself (0755), as an overlay upper if wanted.
  int tree_fd() const;
  /// tmp/<name>/work: overlay's work directory, made on first use.
  int work_fd();
  /// Takes what entries of the tree ought to be and cannot; null where they can be everything. It is written when the
  /// tree is published.
  SideRecorder* side() const;
  std::string path() const;
  Staging(Staging&&) noexcept;
  Staging& operator=(Staging&&) noexcept;
  ~Staging();

 private:
  friend class Store;
  struct Impl;
  explicit Staging(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// A fresh id for a layer that is made here.
Digest random_layer_id();

/// $CBUILD_ROOT, else /var/lib/cbuild for root, else $XDG_DATA_HOME/cbuild or ~/.local/share/cbuild.
std::string default_root();

}  // namespace cbuild::cache
