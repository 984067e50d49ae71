// SPDX-License-Identifier: Apache-2.0
// type=docker, a row of output_type.h: the archive that `docker load` takes, as a file, or without dest= into an
// engine.
#include "base/error.h"
#include "exporter/engine_load.h"
#include "exporter/output_content.h"
#include "exporter/output_type.h"

namespace cbuild::exporter {
namespace {

constexpr OutputKey kDockerKeys[] = {
    {"context", [](Output& o, std::string_view, const std::string& v) { o.engine_context = v; }}};

OutputPlace docker_place(const Output& output) {
  if (!output.as_tar) return OutputPlace::directory;
  return output.dest.empty() ? OutputPlace::engine : OutputPlace::file;
}

/// As buildx refuses it: the format of `docker save` has no platforms, and engines with an image store of their own
/// take one image.
void check_docker_index(const Output& output, const CancelSource* cancel) {
  if (docker_place(output) != OutputPlace::engine)
    throw Error(ErrorCode::usage,
                "docker exporter does not support exporting manifest lists, use the oci exporter instead")
        .with_hint("type=docker is for one --platform");
  if (!engine_finds_manifests(output, cancel))
    throw Error(ErrorCode::usage, "docker exporter does not currently support exporting manifest lists")
        .with_hint("the engine keeps one platform of an image: give one --platform, or use its containerd image store");
}

}  // namespace

const OutputTraits kDockerOutput = {
    .type = OutputType::docker,
    .name = "docker",
    .content = OutputContent::image,
    .place = docker_place,
    .keys = kDockerKeys,  // tar= is type=oci's
    .complete = complete_archive,
    .check_index = check_docker_index,
    .write = [](const OutputJob& job) { job.output.dest.empty() ? load_into_engine(job) : export_archive(job, true); },
};

}  // namespace cbuild::exporter
