// SPDX-License-Identifier: Apache-2.0
#include "api/daemon/capabilities.h"

#include <unistd.h>

#include <array>
#include <string>

#include "api/proto/gateway.pb.h"
#include "api/proto/worker.pb.h"
#include "oci/platform.h"

namespace cbuild::api {
namespace {

constexpr std::array kFrontendCaps = {
    "solve.base",
    "solve.inlinereturn",
    "resolveimage",
    "resolveimage.resolvemode",
    "readfile",
    "return",
    "returnmap",
    "readdir",
    "statfile",
    "importcaches",
    "proto.refarray",
    "reference.output",
    "frontend.inputs",
    "frontend.caps",
    "gateway.solve.evaluate",
    "gateway.evaluate",
    "gateway.warnings",
    "source.metaresolver",
    "gateway.solve.metadata",
};

// "soruce" is the name that clients know.
constexpr std::array kLlbCaps = {
    "source.image",
    "source.image.resolvemode",
    "source.image.checksum",
    "source.local",
    "source.local.unique",
    "source.local.sessionid",
    "source.local.includepatterns",
    "source.local.followpaths",
    "source.local.excludepatterns",
    "source.local.sharedkeyhint",
    "source.local.differ",
    "source.git",
    "source.git.keepgitdir",
    "source.git.fullurl",
    "source.git.httpauth",
    "source.git.knownsshhosts",
    "source.git.mountsshsock",
    "source.git.subdir",
    "source.git.checksum",
    "source.git.skipsubmodules",
    "source.http",
    "source.http.auth",
    "source.http.checksum",
    "source.http.perm",
    "soruce.http.uidgid",
    "source.ocilayout",
    "source.buildop.llbfilename",
    "exec.meta.base",
    "exec.meta.cgroup.parent",
    "exec.meta.network",
    "exec.meta.proxyenv",
    "exec.meta.security",
    "exec.meta.setsdefaultpath",
    "exec.meta.ulimit",
    "exec.mount.bind",
    "exec.mount.bind.readwrite-nooutput",
    "exec.mount.cache",
    "exec.mount.cache.sharing",
    "exec.mount.selector",
    "exec.mount.tmpfs",
    "exec.mount.tmpfs.size",
    "exec.mount.secret",
    "exec.mount.ssh",
    "exec.cgroup",
    "exec.secretenv",
    "file.base",
    "file.rm.wildcard",
    "file.copy.includeexcludepatterns",
    "file.copy.alwaysreplaceexistingdestpaths",
    "file.copy.modestring",
    "file.symlink.create",
    "constraints",
    "platform",
    "meta.ignorecache",
    "meta.description",
    "meta.exportcache",
    "mergeop",
    "diffop",
    "exporter.image.annotations",
    "exporter.image.attestations",
    "exporter.sourcedateepoch",
    "exporter.multiple",
    "cache.gha",
    "cache.s3",
    "cache.azblob",
    "source.policy",
};

void add_platform(moby::buildkit::v1::types::WorkerRecord& out, const oci::Platform& platform) {
  pb::Platform& entry = *out.add_platforms();
  entry.set_os(platform.os);
  entry.set_architecture(platform.architecture);
  entry.set_variant(platform.variant);
}

}  // namespace

void fill_pong(moby::buildkit::v1::frontend::PongResponse& out) {
  const auto add = [](auto& caps, const char* id) {
    auto& cap = *caps.Add();
    cap.set_id(id);
    cap.set_enabled(true);
  };
  for (const char* id : kFrontendCaps) add(*out.mutable_frontend_api_caps(), id);
  for (const char* id : kLlbCaps) add(*out.mutable_llb_caps(), id);
  fill_worker(*out.add_workers());
}

void fill_worker(moby::buildkit::v1::types::WorkerRecord& out) {
  char host[256] = {};
  gethostname(host, sizeof host - 1);
  out.set_id("cbuild");
  auto& labels = *out.mutable_labels();
  labels["org.mobyproject.buildkit.worker.executor"] = "cbuild";
  labels["org.mobyproject.buildkit.worker.hostname"] = host;
  labels["org.mobyproject.buildkit.worker.snapshotter"] = "cbuild";
  add_platform(out, oci::host_platform());
  fill_version(*out.mutable_buildkit_version());
}

void fill_version(moby::buildkit::v1::types::BuildkitVersion& out) {
  out.set_package("cbuild");
  out.set_version("v" CBUILD_VERSION);
}

}  // namespace cbuild::api
