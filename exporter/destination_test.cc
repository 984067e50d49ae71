// SPDX-License-Identifier: Apache-2.0
#include "exporter/destination.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/error.h"
#include "base/files.h"
#include "base/sys.h"

namespace cbuild::exporter {
namespace {

/// The test's working directory while it lives: work/ of a temporary one, next to outside/.
struct WorkingDirectory {
  TempDir temp = TempDir::in_tmp("destination-test-");
  UniqueFd before = sys::open_at(AT_FDCWD, ".", O_PATH | O_DIRECTORY);
  WorkingDirectory() {
    for (const char* name : {"work", "work/out", "outside"}) sys::mkdir_at(temp.fd(), name, 0755);
    sys::write_file_at(temp.fd(), "work/file", "");
    REQUIRE(::chdir((temp.path() + "/work").c_str()) == 0);
  }
  ~WorkingDirectory() { CHECK(::fchdir(before.get()) == 0); }
};

std::string refusal(const std::string& output, bool may_delete = false) {
  try {
    check_destination(parse_output(output, false), may_delete);
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::usage);
    return error.what();
  }
  return "accepted";
}

}  // namespace

TEST_CASE("mode=delete needs a permission where more than an output directory is at stake") {
  const WorkingDirectory here;
  REQUIRE(::symlink("out", "inner") == 0);
  REQUIRE(::symlink("../outside", "outer") == 0);
  REQUIRE(::symlink(".", "self") == 0);
  const std::string top = here.temp.path();
  for (const std::string& dest : {std::string("out"), std::string("out/"), std::string("new/deep"),
                                  std::string("inner"), std::string("./out/../new"), top + "/work/out"}) {
    CAPTURE(dest);
    CHECK(refusal("type=local,mode=delete,dest=" + dest) == "accepted");
  }
  for (const std::string& dest :
       {std::string("."), std::string(".."), std::string("../outside"), std::string("outer"), std::string("outer/new"),
        std::string("self"), std::string("out/.."), std::string("/"), top, top + "/outside", top + "/work"}) {
    CAPTURE(dest);
    CHECK(refusal("type=local,mode=delete,dest=" + dest) ==
          "--output: mode=delete for " + dest + " needs --allow=buildx.local.delete");
    CHECK(refusal("type=local,mode=delete,dest=" + dest, true) == "accepted");
    CHECK(refusal("type=local,mode=copy,dest=" + dest) == "accepted");
  }
}

TEST_CASE("files do not go to directories, nor directories to files") {
  const WorkingDirectory here;
  CHECK(refusal("type=oci,dest=out") == "--output: out is a directory");
  CHECK(refusal("type=tar,dest=file") == "accepted");
  CHECK(refusal("type=local,dest=file") == "--output: file is not a directory");
  CHECK(refusal("type=oci,tar=false,dest=file") == "--output: file is not a directory");
  CHECK(refusal("type=oci,tar=false,dest=out") == "accepted");
  CHECK(refusal("type=local,dest=-") == "--output: dest=- is stdout, which is not a directory");
  CHECK(refusal("type=image") == "accepted");
}

}  // namespace cbuild::exporter
