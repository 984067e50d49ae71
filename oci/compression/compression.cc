// SPDX-License-Identifier: Apache-2.0
#include "oci/compression/compression.h"

#include "oci/compression/block_stream.h"
#include "oci/descriptor.h"

namespace cbuild::oci::layer {
namespace {

constexpr std::string_view kDockerLayerZstd = "application/vnd.docker.image.rootfs.diff.tar.zstd";

}  // namespace

std::optional<Compression> parse_compression(std::string_view name) {
  if (name == "uncompressed") return Compression::none;
  if (name == "gzip") return Compression::gzip;
  if (name == "zstd") return Compression::zstd;
  if (name == "estargz") return Compression::estargz;
  return std::nullopt;
}

std::string_view media_type(Compression compression, bool docker_types) {
  switch (compression) {
    case Compression::none:
      return docker_types ? media_type::kDockerLayer : media_type::kLayer;
    case Compression::gzip:
    case Compression::estargz:
      return docker_types ? media_type::kDockerLayerGzip : media_type::kLayerGzip;
    case Compression::zstd:
      return docker_types ? kDockerLayerZstd : media_type::kLayerZstd;
  }
  return media_type::kLayer;
}

struct ParallelCompressor::Impl {
  Impl(Compression compression, int level, ByteSink sink) : stream(tasks, compression, level, std::move(sink)) {}
  TaskGroup tasks;
  BlockStream stream;
};

ParallelCompressor::ParallelCompressor(Compression compression, int level, ByteSink sink)
    : impl_(std::make_unique<Impl>(compression, level, std::move(sink))) {}
ParallelCompressor::~ParallelCompressor() = default;
void ParallelCompressor::write(std::span<const std::byte> data) { impl_->stream.write(data); }
void ParallelCompressor::finish() { impl_->stream.finish(); }

}  // namespace cbuild::oci::layer
