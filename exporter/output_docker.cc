// SPDX-License-Identifier: Apache-2.0
// type=docker, a row of output_type.h: the archive that `docker load` takes, as a file, or without dest= into an
// engine.
#include "exporter/docker_load.h"
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

}  // namespace

const OutputTraits kDockerOutput = {
    .type = OutputType::docker,
    .name = "docker",
    .content = OutputContent::image,
    .place = docker_place,
    .keys = kDockerKeys,  // tar= is type=oci's
    .complete = complete_archive,
    .write = [](const OutputJob& job) { job.output.dest.empty() ? load_into_engine(job) : export_archive(job, true); },
};

}  // namespace cbuild::exporter
