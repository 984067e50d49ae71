// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.h"
#include "oci/blob_store.h"
#include "oci/descriptor.h"
#include "oci/reference.h"

namespace cbuild::cache {
class Store;
}
namespace cbuild::oci::registry {
class Client;
}

namespace cbuild::exporter {

/// A manifest or an index, with its exact bytes.
struct ImageDocument {
  oci::Descriptor descriptor;
  std::string body;
};

/// A signature, an attestation or another artifact that names an image.
struct Referrer {
  oci::Descriptor descriptor;
  std::string tag;  ///< in a repository: its name where the older convention finds it by a tag; else empty
};

enum class PlaceKind { registry, layout, archive, store };

/// One name of an image, where it lies or shall lie: in a registry, in an OCI layout, in an archive, in the store.
/// Everything that is read is verified. Thread-safe but for the documents that are written. Throws Error.
class ImagePlace {
 public:
  virtual ~ImagePlace() = default;
  virtual PlaceKind kind() const = 0;
  virtual std::string name() const = 0;  ///< for messages
  /// The repository, if that is where it lies.
  virtual std::optional<oci::Reference> repository() const { return std::nullopt; }

  /// The image. Error{not_found} if the name leads to none.
  virtual ImageDocument root() = 0;
  /// A manifest or index by its digest.
  virtual std::string document(const oci::Descriptor& descriptor) = 0;
  /// The whole of a small blob, as a config is.
  virtual std::string small_blob(const oci::Descriptor& descriptor) = 0;
  /// Makes a blob present in `into`.
  virtual void fetch(const oci::Descriptor& descriptor, oci::BlobStore& into) = 0;
  /// Its blobs, where they are files of this machine and `descriptor` is one of them.
  virtual oci::BlobStore* local_blobs(const oci::Descriptor& descriptor) = 0;
  /// Artifacts that name the manifest of this digest.
  virtual std::vector<Referrer> referrers(const Digest& subject) = 0;

  /// Whether the name leads to this document already, and so everything that it needs is there.
  virtual bool is_there(const ImageDocument& image) = 0;
  /// Takes a blob from another place; false if it was there already.
  virtual bool take_blob(const oci::Descriptor& descriptor, ImagePlace& from) = 0;
  /// Takes a manifest or index whose parts are there, under its digest.
  virtual void take_document(const ImageDocument& document) = 0;
  /// The same as the image of the name. The last call for an image.
  virtual void finish(const ImageDocument& image) = 0;
  /// Takes an artifact; its blobs are there. `tag`: as Referrer::tag.
  virtual void take_referrer(const ImageDocument& artifact, const std::string& tag) = 0;
};

/// The parts of the program that places need. The references must outlive the places.
struct PlaceServices {
  cache::Store* store = nullptr;                     ///< null: there is none
  std::function<oci::registry::Client&()> registry;  ///< made on first use
};

/// What a place is for: an archive is read or written as a whole. `change`: what is there is read, to be replaced by
/// something made of it, so a registry is asked itself and none of its mirrors.
enum class PlaceUse { read, write, change };

/// "docker://REFERENCE", "oci-layout://DIR[:TAG|@DIGEST]", "oci-archive://FILE[:TAG]", "docker-archive://FILE[:NAME]",
/// "store://NAME"; all but the first also without "//". Without a scheme: a name of the store, if it is read and the
/// store has it, else a reference. Throws Error{usage} for other schemes.
std::unique_ptr<ImagePlace> open_place(const std::string& text, PlaceUse use, const PlaceServices& services);

// One file each.
std::unique_ptr<ImagePlace> registry_place(const oci::Reference& reference, PlaceUse use,
                                           const PlaceServices& services);
std::unique_ptr<ImagePlace> layout_place(const std::string& directory, const std::string& selector, PlaceUse use);
std::unique_ptr<ImagePlace> archive_place(const std::string& file, const std::string& selector, bool docker,
                                          PlaceUse use);
std::unique_ptr<ImagePlace> store_place(const std::string& name, const PlaceServices& services);

/// Reads a document of `descriptor`, already verified, with the type that it has.
ImageDocument document_of(std::string body, const oci::Annotations& annotations = {});
/// Error{unsupported} for an image that names blobs by sha512: only bases may.
void refuse_sha512(const oci::Descriptor& descriptor);

}  // namespace cbuild::exporter
