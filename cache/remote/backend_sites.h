// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <map>
#include <string>

#include "base/files.h"
#include "base/sys.h"
#include "base/text.h"
#include "cache/objects/fake_azure.h"
#include "cache/objects/fake_gha.h"
#include "cache/objects/fake_s3.h"
#include "cache/remote/backend.h"
#include "oci/layout.h"
#include "oci/registry/fake_registry.h"

/// For tests: a place for a cache of each type, in a directory or behind a server of the test.
namespace cbuild::cache::testing {

inline std::uint64_t bytes_in(const std::map<std::string, std::string>& objects) {
  std::uint64_t sum = 0;
  for (const auto& [name, content] : objects) sum += content.size();
  return sum;
}

/// A directory, and how it is damaged from outside.
struct LocalSite {
  static constexpr std::string_view kType = "local";
  TempDir dir = TempDir::in_tmp("backend-test-");
  const std::string path = dir.path() + "/cache";

  std::string to() const { return cat("type=local,tag=main,dest=", path); }
  std::string from() const { return cat("type=local,tag=main,src=", path); }
  BackendServices services(Store& store) { return {store, nullptr}; }
  void set_blob(const Digest& digest, const std::string& content) {
    sys::write_file_at(dir.fd(), "cache/blobs/sha256/" + digest.hex(), content);
  }
  void remove_blob(const Digest& digest) { REQUIRE(::unlink(cat(path, "/blobs/sha256/", digest.hex()).c_str()) == 0); }
  void set_manifest(const std::string& body) {
    oci::ImageLayout layout = oci::ImageLayout::create(path);
    oci::Index index;
    index.manifests = {oci::put_blob(layout.blobs(), body, std::string(oci::media_type::kManifest))};
    index.manifests[0].annotations["org.opencontainers.image.ref.name"] = "main";
    layout.write_index(index);
  }
  std::uint64_t stored() const {
    std::uint64_t sum = 0;
    const UniqueFd blobs = sys::open_at(dir.fd(), "cache/blobs/sha256", O_RDONLY | O_DIRECTORY);
    for (const std::string& name : sys::list_dir(blobs.get()))
      sum += static_cast<std::uint64_t>(sys::try_stat_at(blobs.get(), name)->st_size);
    return sum;
  }
};

/// A registry, likewise.
struct RegistrySite {
  static constexpr std::string_view kType = "registry";
  static constexpr char kRepository[] = "team/cache";
  oci::registry::ClientFixture fixture;
  oci::registry::FakeRegistry registry;

  std::string reference() const { return registry.reference(cat(kRepository, ":main")).str(); }
  std::string to() const { return cat("type=registry,ref=", reference()); }
  std::string from() const { return to(); }
  BackendServices services(Store& store) {
    return {store, [this]() -> oci::registry::Client& { return fixture.client(); }};
  }
  void set_blob(const Digest& digest, const std::string& content) {
    registry.blobs.at(cat(kRepository, "@", digest.str())) = content;
  }
  void remove_blob(const Digest& digest) { REQUIRE(registry.blobs.erase(cat(kRepository, "@", digest.str())) == 1); }
  void set_manifest(const std::string& body) { registry.add_manifest(kRepository, "main", body); }
};

/// A bucket, likewise.
struct S3Site {
  static constexpr std::string_view kType = "s3";
  FakeS3 service;

  std::string to() const {
    return cat("type=s3,bucket=bucket,region=here,use_path_style=true,name=main,prefix=team/,access_key_id=test-id,",
               "secret_access_key=test-secret,endpoint_url=", service.server.url("/"));
  }
  std::string from() const { return to(); }
  BackendServices services(Store& store) {
    ObjectOptions options;
    options.retry_delay = std::chrono::milliseconds(1);
    options.now_s = [this] { return service.now_s; };
    return {store, nullptr, options};
  }
  void set_blob(const Digest& digest, const std::string& content) {
    for (auto& [path, object] : service.objects)
      if (path.find(digest.hex()) != std::string::npos) object = content;
  }
  void remove_blob(const Digest& digest) {
    REQUIRE(std::erase_if(service.objects, [&](const auto& object) {
              return object.first.find(digest.hex()) != std::string::npos;
            }) == 1);
  }
  void set_manifest(const std::string& body) { service.objects["/bucket/team/manifests/main"] = body; }
  void set_foreign_manifest(const std::string& body) { service.objects["/bucket/team/manifests/buildkit"] = body; }
  std::uint64_t stored() const { return bytes_in(service.objects); }
};

/// A container, likewise.
struct AzureSite {
  static constexpr std::string_view kType = "azblob";
  FakeAzure service;

  std::string to() const {
    return cat("type=azblob,account_name=devstoreaccount1,container=c,name=main,prefix=team,secret_access_key=",
               FakeAzure::kKey, ",account_url=", service.server.url("/devstoreaccount1"));
  }
  std::string from() const { return to(); }
  BackendServices services(Store& store) {
    ObjectOptions options;
    options.retry_delay = std::chrono::milliseconds(1);
    options.now_s = [this] { return service.now_s; };
    return {store, nullptr, options};
  }
  void set_blob(const Digest& digest, const std::string& content) {
    for (auto& [path, blob] : service.blobs)
      if (path.find(digest.hex()) != std::string::npos) blob = content;
  }
  void remove_blob(const Digest& digest) {
    REQUIRE(std::erase_if(service.blobs,
                          [&](const auto& blob) { return blob.first.find(digest.hex()) != std::string::npos; }) == 1);
  }
  void set_manifest(const std::string& body) { service.blobs["/devstoreaccount1/c/team/manifests/main"] = body; }
  void set_foreign_manifest(const std::string& body) {
    service.blobs["/devstoreaccount1/c/team/manifests/buildkit"] = body;
  }
  std::uint64_t stored() const { return bytes_in(service.blobs); }
};

/// The entries of a repository, likewise.
struct GhaSite {
  static constexpr std::string_view kType = "gha";
  FakeGha service;

  std::string to() const {
    return cat("type=gha,scope=main,token=", FakeGha::token(), ",url_v2=", service.server.url("/x/"));
  }
  std::string from() const { return to(); }
  BackendServices services(Store& store) {
    ObjectOptions options;
    options.retry_delay = std::chrono::milliseconds(1);
    return {store, nullptr, options};
  }
  void set_blob(const Digest& digest, const std::string& content) {
    for (FakeGha::Entry& entry : service.entries)
      if (entry.key.find(digest.hex()) != std::string::npos) entry.content = content;
  }
  void remove_blob(const Digest& digest) {
    REQUIRE(std::erase_if(service.entries, [&](const FakeGha::Entry& entry) {
              return entry.key.find(digest.hex()) != std::string::npos;
            }) == 1);
  }
  void set_manifest(const std::string& body) {
    const std::string name = cat("cbuild-index-main-1-", sha256("refs/heads/topic").hex().substr(0, 8), "#9");
    service.entries.push_back({name, sha256("cbuild cache 1").hex(), body, true});
  }
};

}  // namespace cbuild::cache::testing
