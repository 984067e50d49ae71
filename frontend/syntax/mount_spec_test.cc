// SPDX-License-Identifier: Apache-2.0
#include "frontend/syntax/mount_spec.h"

#include <doctest/doctest.h>

#include "base/error.h"

namespace cbuild::frontend {
namespace {

using Type = MountSpec::Type;
using Sharing = MountSpec::Sharing;

std::string same(std::string_view value) { return std::string(value); }

MountSpec mount_of(std::string_view csv) { return parse_mount(csv, same); }

std::string mount_failure(std::string_view csv, std::string* hint = nullptr) {
  try {
    mount_of(csv);
    return "no failure";
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::input);
    if (hint != nullptr) *hint = error.hint();
    return error.message();
  }
}

TEST_CASE("defaults") {
  const MountSpec bind = mount_of("target=/x");
  CHECK(bind.type == Type::bind);
  CHECK(bind.read_only);
  CHECK(bind.target == "/x");
  CHECK_FALSE(mount_of("type=cache,target=/x").read_only);
  CHECK(mount_of("type=cache,target=/x").sharing == Sharing::shared);
  CHECK_FALSE(mount_of("type=tmpfs,target=/x").read_only);
  CHECK(mount_of("type=secret,id=x").read_only);
  CHECK(mount_of("type=ssh").read_only);
  CHECK_FALSE(mount_of("type=ssh").required);
}

TEST_CASE("every key and its other names") {
  const MountSpec bind = mount_of("type=bind,from=base,source=/s,target=t,rw");
  CHECK(bind.from == "base");
  CHECK(bind.source == "/s");
  CHECK(bind.target == "t");
  CHECK_FALSE(bind.read_only);
  CHECK(mount_of("src=/s,dst=t") == mount_of("source=/s,target=t"));
  CHECK(mount_of("src=/s,destination=t") == mount_of("source=/s,target=t"));
  const MountSpec cache = mount_of("type=cache,id=i,target=/t,sharing=locked,mode=0700,uid=1,gid=2,ro");
  CHECK(cache.id == "i");
  CHECK(cache.sharing == Sharing::locked);
  CHECK(cache.mode == 0700);
  CHECK(cache.uid == 1);
  CHECK(cache.gid == 2);
  CHECK(cache.read_only);
  CHECK(mount_of("type=cache,target=/t,sharing=private").sharing == Sharing::private_);
  CHECK(mount_of("type=tmpfs,target=/t,size=64k").size_bytes == 65536);
  CHECK(mount_of("type=secret,id=i,env=TOKEN,required").env_name == "TOKEN");
}

TEST_CASE("keys, types and sharing modes in any case") {
  CHECK(mount_of("TYPE=Cache,Target=/T,SHARING=Locked") == mount_of("type=cache,target=/T,sharing=locked"));
}

TEST_CASE("booleans") {
  CHECK_FALSE(mount_of("target=/x,ro=false").read_only);
  CHECK_FALSE(mount_of("target=/x,readwrite=true").read_only);
  CHECK(mount_of("target=/x,rw=0").read_only);
  CHECK(mount_of("target=/x,rw,readonly").read_only);
  CHECK(mount_of("type=ssh,required=T").required);
  CHECK_FALSE(mount_of("type=ssh,required=F").required);
  CHECK(mount_failure("target=/x,ro=maybe") == "invalid value for ro: maybe");
  CHECK(mount_failure("target=/x,rw=yes") == "invalid value for rw: yes");
  CHECK(mount_failure("type=ssh,required=2") == "invalid value for required: 2");
}

TEST_CASE("fields that need a value") {
  CHECK(mount_failure("target") == "invalid field 'target' must be a key=value pair");
  CHECK(mount_failure("type=cache,id") == "invalid field 'id' must be a key=value pair");
}

TEST_CASE("keys that belong to a type, which comes first") {
  CHECK(mount_failure("type=bind,required") == "unexpected key 'required' for mount type 'bind'");
  CHECK(mount_failure("type=cache,required=true") == "unexpected key 'required' for mount type 'cache'");
  CHECK(mount_failure("type=cache,size=1") == "unexpected key 'size' for mount type 'cache'");
  CHECK(mount_failure("size=1,type=tmpfs") == "unexpected key 'size' for mount type 'bind'");
  CHECK(mount_failure("target=/x,mode=0700") == "mode not allowed for \"bind\" type mounts");
  CHECK(mount_failure("type=tmpfs,uid=0") == "uid not allowed for \"tmpfs\" type mounts");
  CHECK(mount_failure("gid=0") == "gid not allowed for \"bind\" type mounts");
  CHECK(mount_failure("type=ssh,sharing=locked") == "invalid cache sharing set for ssh mount");
}

TEST_CASE("numbers") {
  CHECK(mount_failure("type=cache,mode=789") == "invalid value 789 for mode");
  CHECK(mount_failure("type=cache,uid=-1") == "invalid value -1 for uid");
  CHECK(mount_failure("type=cache,gid=4294967296") == "invalid value 4294967296 for gid");
  CHECK(mount_failure("type=cache,uid=") == "invalid value  for uid");
  CHECK(mount_failure("type=tmpfs,size=big") == "invalid value for size: big");
  CHECK(mount_of("type=cache,uid=4294967295").uid == 4294967295u);
}

TEST_CASE("secrets") {
  CHECK(mount_of("type=secret,source=x").source == "x");
  CHECK(mount_failure("type=secret") == "invalid secret mount. one of source, target required");
  CHECK(mount_failure("type=secret,id=a,source=b") == "both source and id can't be set");
  CHECK(mount_failure("type=secret,id=a,from=b") == "secret mount should not have a from");
  CHECK(mount_failure("type=secret,id=a,sharing=locked") == "secret mount should not define sharing");
}

TEST_CASE("suggestions") {
  std::string hint;
  CHECK(mount_failure("type=cach", &hint) == "unsupported mount type \"cach\"");
  CHECK(hint == "did you mean cache?");
  CHECK(mount_failure("type=cache,sharing=loked", &hint) == "unsupported sharing value \"loked\"");
  CHECK(hint == "did you mean locked?");
  CHECK(mount_failure("targt=/x", &hint) == "unexpected key 'targt' in 'targt=/x'");
  CHECK(hint == "did you mean target?");
}

TEST_CASE("values are expanded, from= is not") {
  const auto expand = [](std::string_view value) { return value == "$T" ? std::string("cache") : std::string(value); };
  const MountSpec spec = parse_mount("type=$T,target=/x,from=a$", expand);
  CHECK(spec.type == Type::cache);
  CHECK(spec.from == "a$");
  CHECK_THROWS_WITH_AS(parse_mount("from=$X", expand),
                       "'from' doesn't support variable expansion, define alias stage instead", Error);
}

TEST_CASE("checks that need no variables") {
  CHECK_NOTHROW(check_mount("type=$T,target=/x,foo=1"));
  CHECK_NOTHROW(check_mount("from=a$"));
  CHECK_THROWS_WITH_AS(check_mount("from=$X"), "'from' doesn't support variable expansion, define alias stage instead",
                       Error);
  CHECK_THROWS_WITH_AS(check_mount("a\"b"),
                       "failed to parse csv mounts: parse error on line 1, column 2: bare \" in non-quoted-field",
                       Error);
  CHECK_THROWS_WITH_AS(check_mount(""), "failed to parse csv mounts: EOF", Error);
}

TEST_CASE("quoted fields") { CHECK(mount_of("type=bind,\"target=/a,b\"").target == "/a,b"); }

TEST_CASE("devices") {
  CHECK(parse_device("vendor.com/class=dev") == DeviceSpec{"vendor.com/class=dev", false});
  CHECK(parse_device("vendor.com/class") == DeviceSpec{"vendor.com/class", false});
  CHECK(parse_device("name=a,required") == DeviceSpec{"a", true});
  CHECK(parse_device("a=b,required=false") == DeviceSpec{"a=b", false});
  CHECK_THROWS_WITH_AS(parse_device("a,name=b"), "device name already set to a", Error);
  CHECK_THROWS_WITH_AS(parse_device("a,b"), "invalid field 'b' must be a key=value pair", Error);
  CHECK_THROWS_WITH_AS(parse_device("a,requird=true"), "unexpected key 'requird' in 'requird=true'", Error);
  CHECK_THROWS_WITH_AS(parse_device("a,required=x"), "invalid value for required: x", Error);
  CHECK_THROWS_WITH_AS(parse_device(""), "failed to parse csv devices: EOF", Error);
}

}  // namespace
}  // namespace cbuild::frontend
