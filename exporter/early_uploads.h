// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "base/cancel.h"
#include "cache/packer.h"
#include "cache/store.h"
#include "oci/reference.h"
#include "oci/registry/client.h"

namespace cbuild::exporter {

/// Sends layers to the registries of a build's pushes while steps still run, from the moment they are packed. Nothing
/// gets a name there before finish(), and what is not finished is cancelled at the end. Never the only way: what does
/// not work is left to the push, without a word. Thread-safe.
class EarlyUploads final : public cache::PackReader {
 public:
  using MakeClient = std::function<std::unique_ptr<oci::registry::Client>(const CancelSource&)>;
  /// `make` is called once, when there is something to send; the client has to end with the CancelSource.
  EarlyUploads(cache::Store& store, MakeClient make);
  /// Cancels what is left. The packer has to be gone.
  ~EarlyUploads() override;

  /// `layer` is going to be packed and pushed to `target`. `is_new`: no registry can have it yet, so that it is sent
  /// while it is packed; others are offered first, when their digest is known.
  void expect(const Digest& layer, const oci::Reference& target, bool is_new);
  /// The same for a blob of the store.
  void add(const oci::Descriptor& blob, const oci::Reference& target);
  std::shared_ptr<cache::GrowingBlob> on_pack(const Digest& layer) override;

  /// Makes a blob that has been sent, or is just being sent, present at the repository of `target`. False if it is to
  /// be pushed from the beginning. Throws Error{cancelled} only.
  bool finish(const oci::Reference& target, const oci::Descriptor& blob, const oci::registry::Transferred& progress,
              const CancelSource* cancel);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace cbuild::exporter
