/**
 * Small templates for what the engine claims of Velocity and of Java's methods beyond the webhook's templates.
 * `expected` is what Velocity 1.7 prints; undefined: an exception.
 */
export interface ConstructCase {
  readonly name: string;
  readonly template: string;
  readonly body: string;
  readonly expected: string | undefined;
}

const of = (name: string, template: string, expected: string | undefined, body = ""): ConstructCase => ({
  name,
  template,
  body,
  expected,
});

export const CONSTRUCTS: readonly ConstructCase[] = [
  of(
    "a reference to nothing prints its source",
    "$foo $foo.bar $foo.bar('x') $!foo|$!foo.bar|",
    "$foo $foo.bar $foo.bar('x') ||",
  ),
  of("null is not assigned", "#set($a = 'first')#set($a = $nothing)$a", "first"),
  of(
    "null is false, everything but null and false is true",
    "#set($e = '')#set($n = 0)#if($e)a#end#if($x)b#end#if($n)c#end#if(!$x)d#end",
    "acd",
  ),
  of("comparing with null is false", "#set($n = 1)#if($x > 0)a#end#if($x == $n)b#end#if($n >= 1)c#end", "c"),
  of("order of strings is false", "#set($s = '1')#if($s > 0)a#end.", "."),
  of(
    "equality of a string and a number is that of their texts",
    "#set($s = '503')#if($s == 503)a#end#if($s != 503)b#end",
    "a",
  ),
  of("&& does not evaluate its right without need", "#set($s = 'x')#if($x && $s.substring(9))a#end.", "."),
  of("substring beyond the end throws", "#set($s = 'x')$s.substring(9)", undefined),
  of("substring", "#set($s = 'abcdef')$s.substring(2) $s.substring(1, 3)", "cdef bc"),
  of(
    "a method that the class has not is null",
    "#set($n = 7)$!n.matches('7')|$n.matches('7')",
    "|$n.matches('7')",
  ),
  of(
    "matches is anchored",
    "#set($s = 'abc')$s.matches('b') $s.matches('.b.') $s.matches('a|abc')",
    "false true true",
  ),
  of("a dot is no line end", "#set($s = $input.body)$s.matches('.')", "false", "\u0085"),
  of(
    "white space of \\s is ASCII",
    "#set($s = $input.body)$s.matches('\\s') $s.matches('[\\s]')",
    "false false",
    "\u00a0",
  ),
  of("a class counts code points", "#set($s = $input.body)$s.matches('[^a]') $s.length()", "true 2", "😀"),
  of(
    "split leaves out empty parts at the end",
    "#foreach($p in $input.body.split('&'))[$p]#end",
    "[][a][][b]",
    "&a&&b&&",
  ),
  of("split takes a regular expression", "#foreach($p in $input.body.split('.'))[$p]#end.", ".", "a.b"),
  of(
    "replaceAll takes a regular expression, replace does not",
    "$input.body.replaceAll('.', 'x') $input.body.replace('.', 'x')",
    "xxx axb",
    "a.b",
  ),
  of("hashCode", "#set($s = $input.body)$s.hashCode()", "1772899", "😀"),
  of("hashCode overflows", "#set($s = 'polygenelubricants')$s.hashCode()", "-2147483648"),
  of(
    "a loop knows its place",
    "#foreach($p in $input.body.split(','))$foreach.count/$foreach.index:$p#if($foreach.hasNext);#end#end",
    "1/0:a;2/1:b",
    "a,b",
  ),
  of(
    "members of a map",
    "#set($m = $util.parseJson($input.body))$m.a.b $m.get('a').get('b') $m.containsKey('x') $!m.x.y| $m.size()",
    "1 1 false | 1",
    '{"a":{"b":1}}',
  ),
  of(
    "elements of a list",
    "#set($l = $util.parseJson($input.body))$l.get(0) $l[1] $l.size() $l.isEmpty()",
    "a b 2 false",
    '["a","b"]',
  ),
  of(
    "an element that is not there throws",
    "#set($l = $util.parseJson($input.body))$l.get(2)",
    undefined,
    '["a","b"]',
  ),
  of("sums of integers", "#set($n = 3)#set($m = $n + 4)#set($k = $m - 10)$m $k", "7 -3"),
  of(
    "strings in double quotes are evaluated, in single quotes not",
    "#set($a = 'x')#set($b = \"<$a>\")#set($c = '<$a>')$b $c",
    "<x> <$a>",
  ),
  of(
    "urlDecode takes + for a space and a sign inside an escape",
    "[$util.urlDecode($input.body)]",
    "[a b\u0001]",
    "a+b%+1",
  ),
  of(
    "urlDecode makes U+FFFD of bytes that are no UTF-8",
    "$util.urlDecode($input.body)",
    "\ufffdx\ufffd\ufffd\ud83d\ude00",
    "%e3%81x%ff%fe%F0%9F%98%80",
  ),
  of("urlDecode throws on a cut escape", "$util.urlDecode($input.body)", undefined, "a%2"),
  of("urlDecode throws on a negative number", "$util.urlDecode($input.body)", undefined, "%-1"),
  of(
    "the last of two equal keys counts",
    "#set($m = $util.parseJson($input.body))$m.a",
    "2",
    '{"a":1,"a":2}',
  ),
];
